"""The doors for telemetry.

In: bytes from the network. Out: acknowledged and spooled bytes, then rows in the store. Never: an acknowledgement
before the disk has it.
"""
