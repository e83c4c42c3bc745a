#!/bin/bash
#PBS -N largebatch
#PBS -j oe
#PBS -o /shared/work/clusters/one/batch.txt
#PBS -r y
#PBS -l select=3:ncpus=32:ngpus=4
#PBS -l place=scatter
#PBS -l walltime=4:00:00
#PBS -q prod
#PBS -A my-project
#PBS -l filesystems=home:scratch
exec >>/shared/work/clusters/one/log.txt 2>&1
cd /shared/work
export LARGEBATCH_BATCH_HOST=$(hostname)
module load conda
conda activate largebatch
export LARGEBATCH_END_TIME=$(($(date +%s) + 14400))
(sleep 14280 & clock=$!; trap 'kill "$clock" 2>/dev/null' EXIT; wait "$clock" && kill -USR1 $$) &
warning=$!
trap 'kill "$warning" 2>/dev/null' EXIT
export LARGEBATCH_RESTARTS=${LARGEBATCH_RESTARTS:-0}
(umask 077; unset CUDA_VISIBLE_DEVICES TMPDIR PBS_NODENUM PBS_TASKNUM; export -p >/shared/work/clusters/one/environment)
folder=/shared/work/clusters/one
rm -rf "$folder"/cluster.json "$folder"/exit "$folder"/head
leave() { /shared/venv/bin/python -m largebatch.schedulers.clusters.launcher leave --folder "$folder" & }
cancelled=
trap leave USR1
trap 'cancelled=yes; leave' TERM
pbsdsh -- /bin/bash -c 'cd /shared/work && . /shared/work/clusters/one/environment && exec /shared/venv/bin/python -m largebatch.schedulers.clusters.launcher node --nodes 3 --folder /shared/work/clusters/one --cpus 32 --gpus 4 --interface hsn0 --min-nodes 2 -- largebatch run '"'"'my study.yaml'"'"' --address auto' &
nodes=$!
wait "$nodes"; code=$?
while kill -0 "$nodes" 2>/dev/null; do wait "$nodes"; code=$?; done  # a signal ends a wait, not the job
if [ -s "$folder"/exit ]; then code=$(cat "$folder"/exit)
elif [ "$code" = 0 ]; then code=75; fi  # the head was lost, and nothing failed
if [ "$code" = 75 ] && [ "$LARGEBATCH_RESTARTS" -ge 20 ]; then
  echo "largebatch: unfinished, and not put back: it was $LARGEBATCH_RESTARTS times, and requeues is 20; what it saved is there, submit it again to go on"
fi
if [ "$code" = 75 ] && [ "$LARGEBATCH_RESTARTS" -lt 20 ] &&
  [ -z "$cancelled" ]; then  # PBS itself puts back what it takes the nodes of
  echo "largebatch: saved; back into the queue"
  qsub -v "LARGEBATCH_RESTARTS=$((LARGEBATCH_RESTARTS + 1))" /shared/work/clusters/one/job.sh >/shared/work/clusters/one/job
fi
exit "$code"
