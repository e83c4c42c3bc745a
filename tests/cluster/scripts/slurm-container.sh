#!/bin/bash
#SBATCH --job-name=largebatch
#SBATCH --output=/shared/work/clusters/one/log.txt
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --no-kill
#SBATCH --requeue
#SBATCH --exclusive
#SBATCH --gpus-per-node=2
#SBATCH --signal=B:USR1@120
cd /shared/work
export LARGEBATCH_BATCH_HOST=$(hostname)
end=${SLURM_JOB_END_TIME:-}
if [ -z "$end" ]; then
  end=$(SLURM_TIME_FORMAT=standard timeout 60 squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e)
  end=$([ -n "$end" ] && date --date="$end" +%s 2>/dev/null)  # "N/A" without a limit
fi
[ -z "$end" ] || export LARGEBATCH_END_TIME=$end
export LARGEBATCH_RESTARTS=${SLURM_RESTART_COUNT:-0}
folder=/shared/work/clusters/one
rm -rf "$folder"/cluster.json "$folder"/exit "$folder"/head
leave() { apptainer exec --nv --bind /shared/work 'large batch.sif' python3 -m largebatch.schedulers.clusters.launcher leave --folder "$folder" & }
cancelled=
trap leave USR1
trap 'cancelled=yes; leave' TERM
srun --export=ALL --nodes=$SLURM_JOB_NUM_NODES --ntasks-per-node=1 --gpus-per-node=2 --no-kill --kill-on-bad-exit=0 --wait=0 \
  apptainer exec --nv --bind /shared/work 'large batch.sif' python3 -m largebatch.schedulers.clusters.launcher node --nodes $SLURM_JOB_NUM_NODES --folder /shared/work/clusters/one --gpus 2 --hold &
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
