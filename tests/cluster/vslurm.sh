#!/bin/bash
# A real Slurm of N "machines" on one host, without systemd: vslurm.sh up N | down | exec NODE CMD... | lose NODE
#
# Written for this project. Every machine is a network namespace (own address), a UTS namespace (own host name), a PID
# namespace and a mount namespace (own /tmp/ray and /dev/shm); the rest of the disk is the "shared file system". The
# machines are ctl (slurmctld, and the login node), n1, n2, .. (slurmd). All traffic stays in namespaces made here, the
# switch is in one too, and there is no route outside. Needs root, munge, slurmctld, slurmd, slurm-client, iproute2.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
BASE=${VSLURM_BASE:?a folder}
NET=10.77.0
PREFIX=v${BASE: -4}  # of the namespaces, so that several clusters do not meet
command=$1; shift

machine() {  # machine NAME ADDRESS CMD...: starts CMD below process 1 of a new machine
  local name=$1 address=$2; shift 2
  ip netns add $PREFIX-$name
  ip link add ${PREFIX}e-$name netns $PREFIX-$name type veth peer name ${PREFIX}s-$name netns $PREFIX-switch
  ip -n $PREFIX-switch link set ${PREFIX}s-$name master br0 up
  ip -n $PREFIX-$name link set ${PREFIX}e-$name name eth0
  ip -n $PREFIX-$name addr add $address/24 dev eth0
  ip -n $PREFIX-$name link set eth0 up; ip -n $PREFIX-$name link set lo up
  mkdir -p /etc/netns/$PREFIX-$name $BASE/$name/tmpray
  cp $BASE/hosts /etc/netns/$PREFIX-$name/hosts
  echo "# none" > /etc/netns/$PREFIX-$name/resolv.conf
  cat > $BASE/$name/init.sh <<INIT
hostname $name
mount --make-rprivate /
mkdir -p /tmp/ray; mount --bind $BASE/$name/tmpray /tmp/ray
mount -t tmpfs -o size=2g,mode=1777 tmpfs /dev/shm
export SLURM_CONF=$BASE/slurm.conf
cd $BASE/$name
trap 'exit 0' TERM
"\$@" >> $BASE/$name/daemon.log 2>&1 &
while :; do wait -n || sleep 1; done  # process 1 reaps
INIT
  setsid ip netns exec $PREFIX-$name unshare -m -u -p -f --mount-proc --kill-child \
    bash $BASE/$name/init.sh "$@" </dev/null >>$BASE/$name/init.log 2>&1 &
  echo $! > $BASE/$name/outer.pid
}

first_process() {  # the host's number of a machine's process 1: the child of `unshare`
  local outer; outer=$(cat $BASE/$1/outer.pid)
  awk '{print $1}' /proc/$outer/task/$outer/children
}

lose() {  # the machine is gone from one moment to the next, its processes and its address
  kill -9 $(first_process $1) 2>/dev/null || true
  kill -9 $(cat $BASE/$1/outer.pid) 2>/dev/null || true
  rm -f $BASE/$1/outer.pid
  ip -n $PREFIX-switch link del ${PREFIX}s-$1 2>/dev/null || true
}

case $command in
up)
  count=$1
  mkdir -p $BASE/munge $BASE/ctl/state
  chmod 755 $BASE $BASE/munge
  { echo "127.0.0.1 localhost"; echo "$NET.1 ctl"
    for i in $(seq $count); do echo "$NET.$((10+i)) n$i"; done; } > $BASE/hosts
  head -c 128 /dev/urandom > $BASE/munge/key; chmod 600 $BASE/munge/key
  munged --force --key-file=$BASE/munge/key --socket=$BASE/munge/sock --pid-file=$BASE/munge/pid \
    --log-file=$BASE/munge/log --seed-file=$BASE/munge/seed
  # cred_expire is also how long a requeued job waits: 120 s by default, at least 5. Nodes need not be what they say
  # they are (config_overrides). A lost node is given up after SlurmdTimeout. Jobs of `high` take the nodes of those in
  # `graced`, who are told GraceTime before, and in `sudden`, who have KillWait between TERM and KILL.
  cat > $BASE/slurm.conf <<CONF
ClusterName=vslurm
SlurmctldHost=ctl($NET.1)
AuthType=auth/munge
AuthInfo=socket=$BASE/munge/sock,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$BASE/ctl/state
SlurmdSpoolDir=$BASE/%n/spool
SlurmctldPidFile=$BASE/ctl/slurmctld.pid
SlurmdPidFile=$BASE/%n/slurmd.pid
SlurmctldLogFile=$BASE/ctl/slurmctld.log
SlurmdLogFile=$BASE/%n/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1,sched_min_interval=0
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$BASE/ctl/jobcomp.txt
ReturnToService=2
SlurmdParameters=config_overrides
SlurmdTimeout=15
KillWait=5
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=DEFAULT CPUs=4 RealMemory=9000 State=UNKNOWN
$(for i in $(seq $count); do echo "NodeName=n$i NodeAddr=$NET.$((10+i))"; done)
PartitionName=DEFAULT Nodes=ALL MaxTime=INFINITE DefMemPerCPU=2000 State=UP PreemptMode=OFF
PartitionName=all Default=YES PriorityTier=1
PartitionName=graced PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=sudden PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=high PriorityTier=10
CONF
  # slurmd 22.05 loads a cgroup plugin even without need; finding out which fails where /sys/fs/cgroup is not mounted
  echo "CgroupPlugin=cgroup/v1" > $BASE/cgroup.conf
  ip netns add $PREFIX-switch; ip -n $PREFIX-switch link add br0 type bridge; ip -n $PREFIX-switch link set br0 up
  machine ctl $NET.1 slurmctld -D -i
  for i in $(seq $count); do mkdir -p $BASE/n$i/spool; machine n$i $NET.$((10+i)) slurmd -D; done
  for _ in $(seq 150); do
    idle=$("$0" exec ctl timeout 10 sinfo -h -N -p all -t idle 2>/dev/null | wc -l) || true
    if [ "$idle" = "$count" ]; then exit 0; fi
    sleep 0.2
  done
  echo "only $idle of $count nodes came up; see the logs in $BASE" >&2
  exit 1
  ;;
exec)
  name=$1; shift
  exec nsenter -t $(first_process $name) -m -u -n -p --wd="$PWD" env SLURM_CONF=$BASE/slurm.conf "$@"
  ;;
lose) lose $1 ;;
down)
  for file in $BASE/*/outer.pid; do [ ! -f $file ] || lose $(basename $(dirname $file)); done
  [ ! -f $BASE/munge/pid ] || kill $(cat $BASE/munge/pid) 2>/dev/null || true
  sleep 0.5
  for name in $(ip netns list | awk '{print $1}' | grep "^$PREFIX-"); do
    ip netns del $name; rm -rf /etc/netns/$name
  done
  ;;
esac
