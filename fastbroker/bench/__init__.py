"""The benchmark that is installed with the broker: `fastbroker bench`."""
