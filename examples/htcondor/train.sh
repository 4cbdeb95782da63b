#!/bin/bash
# train.sh RECIPE RUN PROCESSES: what train.sub starts. Signals go to each process, and the job ends
# with the code of the first one that failed.

recipe=$1 run=$2
export WORLD_SIZE=$3 LOCAL_WORLD_SIZE=$3 MASTER_ADDR=127.0.0.1
export MASTER_PORT=$((20000 + $$ % 20000))
export OMP_NUM_THREADS=$((${OMP_NUM_THREADS:-$(nproc)} / WORLD_SIZE))

processes=()
for ((rank = 0; rank < WORLD_SIZE; rank++)); do
  RANK=$rank LOCAL_RANK=$rank python -m steepest train "$recipe" --out "$run" --continue &
  processes+=($!)
done
trap 'kill -TERM "${processes[@]}" 2>/dev/null' TERM INT

code=0
for process in "${processes[@]}"; do
  wait "$process"
  ended=$?
  while kill -0 "$process" 2>/dev/null; do  # the signal interrupted the wait
    wait "$process"
    ended=$?
  done
  [ "$code" -eq 0 ] && code=$ended
done
exit "$code"
