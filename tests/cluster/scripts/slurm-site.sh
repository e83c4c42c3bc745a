#!/bin/bash
#SBATCH --job-name=largebatch
#SBATCH --output=/shared/work/clusters/one/log.txt
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --no-kill
#SBATCH --requeue
#SBATCH --cpus-per-task=64
#SBATCH --gpus-per-node=4
#SBATCH --time=4:00:00
#SBATCH --partition=gpu
#SBATCH --account=my-project
#SBATCH --signal=B:USR1@180
#SBATCH --constraint=a100
#SBATCH --mem=0
cd /shared/work
export LARGEBATCH_BATCH_HOST=$(hostname)
module load python/3.11 cuda/12.4
end=${SLURM_JOB_END_TIME:-}
if [ -z "$end" ]; then
  end=$(SLURM_TIME_FORMAT=standard timeout 60 squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e)
  end=$([ -n "$end" ] && date --date="$end" +%s 2>/dev/null)  # "N/A" without a limit
fi
[ -n "$end" ] || end=$(($(date +%s) + 14400))
[ -z "$end" ] || export LARGEBATCH_END_TIME=$end
export LARGEBATCH_RESTARTS=${SLURM_RESTART_COUNT:-0}
folder=/shared/work/clusters/one
rm -rf "$folder"/cluster.json "$folder"/exit "$folder"/head
leave() { /shared/venv/bin/python -m largebatch.schedulers.clusters.launcher leave --folder "$folder" & }
cancelled=
trap leave USR1
trap 'cancelled=yes; leave' TERM
each_node() {
  trap : USR1 TERM
  steps=() worst=0
  for node in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
    srun --export=ALL --nodes=1 --ntasks=1 --nodelist="$node" --cpus-per-task=64 --gpus-per-node=4 \
      /shared/venv/bin/python -m largebatch.schedulers.clusters.launcher node --nodes $SLURM_JOB_NUM_NODES --folder /shared/work/clusters/one --cpus 64 --gpus 4 --interface ib0 --min-nodes 2 -- largebatch run 'my study.yaml' --address auto &
    steps+=($!)
  done
  for step in "${steps[@]}"; do
    wait "$step"; code=$?
    while kill -0 "$step" 2>/dev/null; do wait "$step"; code=$?; done
    [ "$code" -le "$worst" ] || worst=$code
  done
  exit "$worst"
}
each_node &
nodes=$!
wait "$nodes"; code=$?
while kill -0 "$nodes" 2>/dev/null; do wait "$nodes"; code=$?; done  # a signal ends a wait, not the job
if [ -s "$folder"/exit ]; then code=$(cat "$folder"/exit)
elif [ "$code" = 0 ]; then code=75; fi  # the head was lost, and nothing failed
if [ "$code" = 75 ] && [ "$LARGEBATCH_RESTARTS" -ge 20 ]; then
  echo "largebatch: unfinished, and not put back: it was $LARGEBATCH_RESTARTS times, and requeues is 20; what it saved is there, submit it again to go on"
fi
if [ "$code" = 75 ] && [ "$LARGEBATCH_RESTARTS" -lt 20 ] &&
  [ "$(timeout 60 squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then  # not cancelled
  echo "largebatch: saved; back into the queue"
  timeout 60 scontrol requeue "$SLURM_JOB_ID" && sleep 60  # Slurm ends this script
fi
exit "$code"
