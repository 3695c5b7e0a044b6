"""A shell of one job, as far as a terminal notices one. Usage: one_job_shell.py TTY LINES_FD COMMAND...

Started in a session of its own. Reports on stdout: pid N, then stopped or exit N (negative: of a signal). Takes fg and
bg on stdin while the job is stopped. As in bash, a job that is running already gets no SIGCONT from fg.
"""

import fcntl
import os
import signal
import subprocess
import sys
import termios


def main(tty_name: str, lines_fd: str, *command: str) -> None:
    tty = os.open(tty_name, os.O_RDWR)
    fcntl.ioctl(tty, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it hands the terminal on from the background
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it reports how its job took the hang-up

    def prepare() -> None:
        os.setpgid(0, 0)
        os.tcsetpgrp(tty, os.getpid())
        # What runs the tests may ignore some of them too, as shells make their background jobs do.
        for number in (signal.SIGTTOU, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
            signal.signal(number, signal.SIG_DFL)

    job = subprocess.Popen(
        [*command, lines_fd],
        stdin=tty,
        stdout=tty,
        stderr=tty,
        pass_fds=[int(lines_fd)],
        preexec_fn=prepare,
    )
    print("pid", job.pid, flush=True)
    while os.WIFSTOPPED(status := os.waitpid(job.pid, os.WUNTRACED)[1]):
        os.tcsetpgrp(tty, os.getpgrp())
        print("stopped", flush=True)
        running = False
        for wanted in sys.stdin:
            if wanted == "fg\n":
                os.tcsetpgrp(tty, job.pid)
            if not running:
                os.killpg(job.pid, signal.SIGCONT)
                running = True
            if wanted == "fg\n":
                break
    print("exit", os.waitstatus_to_exitcode(status), flush=True)


main(*sys.argv[1:])
