#!/bin/bash
# One torchrun a node; a process that is killed is started again at once, three times at most:
#   sbatch torchrun.sh recipe.toml runs/first
#SBATCH --job-name=steepest
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --mem=200G
#SBATCH --time=08:00:00
#SBATCH --output=%x-%j.log

recipe=${1:?usage: sbatch torchrun.sh RECIPE RUN} run=${2:?usage: sbatch torchrun.sh RECIPE RUN}

export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / 4))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun torchrun --nnodes="$SLURM_NNODES" --nproc-per-node=4 --max-restarts=3 \
  --rdzv-backend=c10d --rdzv-id="$SLURM_JOB_ID" --rdzv-endpoint="$head:29400" \
  -m steepest train "$recipe" --out "$run" --continue
