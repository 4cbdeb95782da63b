// Scores the events of a CSV file with a model that `steepest share RUN --onnx MODEL` has written.
//
//     score MODEL.onnx EVENTS.csv > scores.csv
//
// The columns are found by the names of the model's inputs. A list of particles, such as the input
// PX, is in the columns PX_0, PX_1, …; zeros are padding. An empty cell is no value.

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Row = std::vector<std::string>;

struct Table {
    std::map<std::string, std::size_t> columns;
    std::vector<Row> rows;

    // The places of a column, or of those of a list: NAME_0, NAME_1, ….
    std::vector<std::size_t> places(const std::string& name, bool list) const {
        std::vector<std::size_t> found;
        if (!list) {
            if (auto column = columns.find(name); column != columns.end())
                found.push_back(column->second);
        } else {
            for (std::size_t i = 0;; ++i) {
                auto column = columns.find(name + "_" + std::to_string(i));
                if (column == columns.end()) break;
                found.push_back(column->second);
            }
        }
        if (found.empty())
            throw std::runtime_error("the events have no column " + name + (list ? "_0" : ""));
        return found;
    }
};

Row split(std::string line) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    Row cells;
    std::stringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
    if (!line.empty() && line.back() == ',') cells.emplace_back();
    return cells;
}

Table read(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("there is no file " + path);
    Table table;
    std::string line;
    std::getline(file, line);
    for (const auto& name : split(line)) table.columns.emplace(name, table.columns.size());
    while (std::getline(file, line)) {
        if (line.empty()) continue;
        table.rows.push_back(split(line));
        if (table.rows.back().size() != table.columns.size())
            throw std::runtime_error("row " + std::to_string(table.rows.size()) + " of " + path +
                                     " has another number of cells than the header");
    }
    return table;
}

double number(const std::string& cell) {
    if (cell.empty()) return std::numeric_limits<double>::quiet_NaN();
    char* end = nullptr;
    double value = std::strtod(cell.c_str(), &end);
    if (*end != '\0') throw std::runtime_error("'" + cell + "' is no number");
    return value;
}

// Holds the numbers of the inputs while the model runs.
class Inputs {
  public:
    Ort::Value of(const Table& table, const std::string& name, ONNXTensorElementDataType type,
                  std::size_t dimensions) {
        const auto places = table.places(name, dimensions == 2);
        std::vector<std::int64_t> shape{static_cast<std::int64_t>(table.rows.size())};
        if (dimensions == 2) shape.push_back(static_cast<std::int64_t>(places.size()));
        switch (type) {
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return tensor<double>(table, places, shape);
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return tensor<float>(table, places, shape);
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return tensor<std::int64_t>(table, places, shape);
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: return tensor<bool>(table, places, shape);
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING: break;
            default: throw std::runtime_error("the input " + name + " is of a type not known here");
        }
        std::vector<const char*> texts;
        for (const auto& row : table.rows)
            for (auto place : places) texts.push_back(row[place].c_str());
        Ort::AllocatorWithDefaultOptions allocator;
        auto value = Ort::Value::CreateTensor(allocator, shape.data(), shape.size(), type);
        value.FillStringTensor(texts.data(), texts.size());
        return value;
    }

  private:
    template <class T>
    Ort::Value tensor(const Table& table, const std::vector<std::size_t>& places,
                      const std::vector<std::int64_t>& shape) {
        const std::size_t count = table.rows.size() * places.size();
        auto values = std::shared_ptr<T[]>(new T[count]);
        std::size_t i = 0;
        for (const auto& row : table.rows)
            for (auto place : places) values[i++] = static_cast<T>(number(row[place]));
        held_.push_back(values);
        auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        return Ort::Value::CreateTensor<T>(memory, values.get(), count, shape.data(), shape.size());
    }

    std::deque<std::shared_ptr<void>> held_;
};

double element(const Ort::Value& value, std::size_t place) {
    auto type = value.GetTensorTypeAndShapeInfo().GetElementType();
    return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE ? value.GetTensorData<double>()[place]
                                                        : value.GetTensorData<float>()[place];
}

void score(const char* model, const char* events) {
    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "score");
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    Ort::Session session(environment, model, options);
    Ort::AllocatorWithDefaultOptions allocator;

    const Table table = read(events);
    Inputs inputs;
    std::vector<std::string> names, outputs;
    std::vector<Ort::Value> given;
    for (std::size_t i = 0; i < session.GetInputCount(); ++i) {
        names.emplace_back(session.GetInputNameAllocated(i, allocator).get());
        auto type = session.GetInputTypeInfo(i);
        auto tensor = type.GetTensorTypeAndShapeInfo();
        given.push_back(inputs.of(table, names[i], tensor.GetElementType(), tensor.GetShape().size()));
    }
    for (std::size_t i = 0; i < session.GetOutputCount(); ++i)
        outputs.emplace_back(session.GetOutputNameAllocated(i, allocator).get());

    std::vector<const char*> asked, wanted;
    for (const auto& name : names) asked.push_back(name.c_str());
    for (const auto& name : outputs) wanted.push_back(name.c_str());
    auto found = session.Run(Ort::RunOptions{nullptr}, asked.data(), given.data(), given.size(),
                             wanted.data(), wanted.size());

    std::string head;
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < found.size(); ++i) {
        auto shape = found[i].GetTensorTypeAndShapeInfo().GetShape();
        widths.push_back(shape.size() == 2 ? static_cast<std::size_t>(shape[1]) : 1);
        for (std::size_t k = 0; k < widths[i]; ++k)
            head += (head.empty() ? "" : ",") + outputs[i] +
                    (shape.size() == 2 ? "_" + std::to_string(k) : "");
    }
    std::printf("%s\n", head.c_str());
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
        const char* comma = "";
        for (std::size_t i = 0; i < found.size(); ++i)
            for (std::size_t k = 0; k < widths[i]; ++k, comma = ",")
                std::printf("%s%.17g", comma, element(found[i], row * widths[i] + k));
        std::printf("\n");
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "score MODEL.onnx EVENTS.csv > scores.csv\n");
        return 2;
    }
    try {
        score(arguments[1], arguments[2]);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "score: %s\n", error.what());
        return 1;
    }
    return 0;
}
