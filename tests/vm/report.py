"""How the tests that need a lab are run and told of: each gets one of its own, and afterwards nothing
of pyro may be left. Prints TAP and the closing line that tools/run-tests sums; with PYRO_TEST_TIMES
set, also how long each test took."""
import os
import threading
import time
import traceback

from lab import Skip


class Report:
    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.lock = threading.Lock()

    def add(self, outcome, name, text="", seconds=0.0):
        with self.lock:
            self.counts[outcome] += 1
            for line in text.splitlines():
                print(f"# {line}")
            print(f"{'not ' if outcome == 'failed' else ''}ok {sum(self.counts.values())} - {name}"
                  f"{' # SKIP' if outcome == 'skipped' else ''}", flush=True)
            if "PYRO_TEST_TIMES" in os.environ:
                print(f"# {seconds:.1f} s", flush=True)

    def run(self, make_lab, name, test):
        lab, begun = make_lab(), time.monotonic()
        outcome, text = "passed", ""
        try:
            test(lab)
            lab.check_clean()
        except Skip as reason:
            outcome, text = "skipped", str(reason)
        except Exception:  # a failed test is a failed test, whatever it raised
            outcome, text = "failed", traceback.format_exc()
        finally:
            lab.remove()
        self.add(outcome, name, text, time.monotonic() - begun)

    def skip(self, names, why, must_run):
        """None can run: each is skipped, or fails if PYRO_MUST_RUN contains the word."""
        outcome = "failed" if must_run in os.environ.get("PYRO_MUST_RUN", "") else "skipped"
        for name in names:
            self.add(outcome, name, why)
        return self.close()

    def close(self):
        """Returns the exit status."""
        print(f"1..{sum(self.counts.values())}")
        print(", ".join(f"{count} {name}" for name, count in self.counts.items()))
        return 1 if self.counts["failed"] else 0
