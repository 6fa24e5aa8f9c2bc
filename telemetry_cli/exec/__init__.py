"""A command of the user's, run and observed: what `run exec` does besides recording.

Every signal that can be caught is blocked from before the run is recorded until we leave, and taken out of the queue one by
one. So nothing can end us between the record of a start and that of its end but SIGKILL, and the kernel then ends the command
too (Linux).
"""
