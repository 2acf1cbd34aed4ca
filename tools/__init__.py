"""Programs that make and measure the bundled models; none of them runs in the service."""
