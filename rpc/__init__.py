"""Devices and measurement: what runs artifacts, emulated or on boards, and how they are timed."""
