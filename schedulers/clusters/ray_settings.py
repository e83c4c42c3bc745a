"""What Ray reads from the environment, of the process that trains or searches and of every node's own processes."""

SETTINGS = {
    # glibc gives freed tensors back to the system, and every step faults them in again: 11,000 faults a step at batch
    # 1,024 of `digits`, a quarter of its time. Workers keep what they freed.
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a user's task is imported from the folder where largebatch runs
    "RAY_DEDUP_LOGS_SKIP_REGEX": "worker processes have been started",  # so many actors is what we mean
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a dead worker is noticed at once, not after 2 s
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our ledger is the record
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: Tune would wait for its own checkpoint
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's state is never read again
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
