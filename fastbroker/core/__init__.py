"""The compiled half of fastbroker; its sources are in ``csrc/``, floor by floor."""
