"""What a device is called where measurements of it are kept."""

import platform

import torch


def device_name(device: torch.device) -> str:
    """A GPU's name, or what kind of processor one worker's share of this machine is."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{platform.machine()} CPU, {threads} thread{'s' if threads > 1 else ''} a worker"
