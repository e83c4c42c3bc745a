#!/bin/bash
#BSUB -J largebatch
#BSUB -o /shared/work/clusters/one/batch.txt
#BSUB -Q 75
#BSUB -n 16
#BSUB -R "span[ptile=8]"
exec >>/shared/work/clusters/one/log.txt 2>&1
cd /shared/work
export LARGEBATCH_BATCH_HOST=$(hostname)
export LARGEBATCH_RESTARTS=$(cat /shared/work/clusters/one/restarts 2>/dev/null || echo 0)
echo $((LARGEBATCH_RESTARTS + 1)) >/shared/work/clusters/one/restarts
folder=/shared/work/clusters/one
rm -rf "$folder"/cluster.json "$folder"/exit "$folder"/head
leave() { /shared/venv/bin/python -m largebatch.schedulers.clusters.launcher leave --folder "$folder" & }
cancelled=
trap leave USR1
trap 'cancelled=yes; leave' TERM
blaunch -z "$(sort -u "$LSB_DJOB_HOSTFILE" | tr "\n" " ")" /shared/venv/bin/python -m largebatch.schedulers.clusters.launcher node --nodes 2 --folder /shared/work/clusters/one --cpus 8 --hold &
nodes=$!
wait "$nodes"; code=$?
while kill -0 "$nodes" 2>/dev/null; do wait "$nodes"; code=$?; done  # a signal ends a wait, not the job
if [ -s "$folder"/exit ]; then code=$(cat "$folder"/exit)
elif [ "$code" = 0 ]; then code=75; fi  # the head was lost, and nothing failed
if [ "$code" = 75 ] && [ "$LARGEBATCH_RESTARTS" -ge 20 ]; then
  echo "largebatch: unfinished, and not put back: it was $LARGEBATCH_RESTARTS times, and requeues is 20; what it saved is there, submit it again to go on"
fi
if [ "$code" = 75 ]; then
  if [ "$LARGEBATCH_RESTARTS" -lt 20 ] && [ -z "$cancelled" ]; then
    echo "largebatch: saved; back into the queue"
  else
    code=1  # or LSF would put it back
  fi
fi
exit "$code"
