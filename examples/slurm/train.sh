#!/bin/bash
# One process a GPU, on one node or many:  sbatch train.sh recipe.toml runs/first
#SBATCH --job-name=steepest
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --mem=200G
#SBATCH --time=08:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

# Two minutes before the end, Slurm sends SIGUSR1 to every process: it saves a checkpoint and ends
# with code 75. The job is then queued again, and goes on with the run.

recipe=${1:?usage: sbatch train.sh RECIPE RUN} run=${2:?usage: sbatch train.sh RECIPE RUN}

export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK

srun --kill-on-bad-exit=1 bash -c '
  export WORLD_SIZE=$SLURM_NTASKS RANK=$SLURM_PROCID
  export LOCAL_RANK=$SLURM_LOCALID LOCAL_WORLD_SIZE=$SLURM_NTASKS_PER_NODE
  exec python -m steepest train "$0" --out "$1" --continue
' "$recipe" "$run"
code=$?

if [ "$code" -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
