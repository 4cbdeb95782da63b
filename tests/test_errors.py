"""The shape of a message, and the codes with which the command line ends."""

from __future__ import annotations

from steepest import errors


def test_a_message_says_what_expected_found_cause_and_remedy():
    error = errors.EventsError("w", expected="e", found="f", cause="c", do="d")
    assert str(error) == "w\n  expected: e\n  found:    f\n  cause:    c\n  do:       d"
    assert str(errors.EventsError("w")) == "w"


def test_exit_codes():
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__ if name != "nearest"}
    assert codes == {
        "DivergenceError": 3,
        "EventsError": 1,
        "InputError": 1,
        "Interrupted": 130,
        "MissingExtraError": 1,
        "Preempted": 75,
        "RankLost": 1,
        "RecipeError": 1,
        "RunFolderError": 1,
        "SteepestError": 1,
    }


def test_what_the_user_gave_is_a_value_error_and_what_the_descent_did_is_not():
    kinds = {getattr(errors, name) for name in errors.__all__ if name != "nearest"}
    values = {kind.__name__ for kind in kinds if issubclass(kind, ValueError)}
    assert values == {
        "EventsError",
        "InputError",
        "MissingExtraError",
        "RecipeError",
        "RunFolderError",
    }


def test_every_error_is_in_the_tree_of_the_module_s_docstring():
    assert errors.__doc__ is not None
    for name in errors.__all__:
        assert name == "nearest" or name in errors.__doc__


def test_missing_extra_gives_the_install_line():
    error = errors.MissingExtraError("simulate", "pythia8mc", "Simulation")
    assert str(error) == (
        "Simulation needs the package 'pythia8mc', which is not installed.\n"
        "  do:       pip install 'steepest[simulate]'"
    )
