"""What the tests of `tenure cluster` share: a cluster of real etcd members on this machine."""

import json

from harness import *


class Cluster:
    """`tenure cluster dev` in a folder, up to the moment in which it says that it serves."""

    def __init__(self, w, *args, folder="three"):
        self.w, self.folder = w, Path(w.path(folder))
        self.process = w.start("cluster", "dev", "--port", "0", "--data-dir", str(self.folder), "-o", "json", *args)
        first = self.process.stdout.readline()
        if not first:
            raise Failure(f"it did not serve: {self.process.communicate(timeout=PATIENCE_S)[1]}")
        told = json.loads(first)
        self.endpoints, self.members = told["endpoints"], {m["name"]: m for m in told["members"]}
        for m in told["members"]:
            w.will_end(m["pid"])

    def tenure(self, *args, **more):
        return self.w.run([TENURE, *args], env=self.w.environment(TENURE_ENDPOINTS=self.endpoints), **more)

    def pid(self, name):
        text = read(self.folder / f"{name}.pid").strip()
        return self.w.will_end(int(text)) if text else None

    def status(self):
        got = self.tenure("cluster", "status", "--quick", "-o", "json")
        return got.returncode, {m["name"]: m for m in json.loads(got.stdout)["members"]} if got.stdout else {}

    def leader(self):
        return next((name for name, m in self.status()[1].items() if m["role"] == "leader"), None)

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_S * 2)

    def well(self):
        """All of them have made themselves known, which the last one may not have when most of them serve."""
        await_(lambda: self.status()[0] == 0, "all are well")
        return self
