"""Lines of the log that wait for the thread which writes them, and how many there was no room for behind them.

    the loop: line line line | line line …          (full: lost)
    the thread takes all of it

The end of a connection is a line, so this is a part of what a reconnect storm costs. Nothing here lets go of the
interpreter's lock half way, so no other is needed.
"""


cdef class Backlog:

    def __init__(self, Py_ssize_t most, wake):
        self.most = most
        self.wake = wake
        self.waiting = bytearray()

    def write(self, bytes line not None):
        # Behind a gap nothing follows until the gap was told.
        if self.lost or len(self.waiting) + len(line) > self.most:
            self.lost += 1
        else:
            self.waiting += line
        if self.idle:
            self.idle = False
            self.wake()

    def is_empty(self):
        self.idle = not (self.waiting or self.lost)
        return self.idle

    def take(self):
        lines, self.waiting = self.waiting, bytearray()
        lost, self.lost = self.lost, 0
        return lines, lost
