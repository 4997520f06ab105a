"""Workers in processes of their own, which are killed: what they leave behind is what a kill leaves."""

import json
import os
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

from jobsim.core.errors import ConfigError
from jobsim.core.ids import IdMint
from jobsim.core.time import Instant
from jobsim.live.inline import Life
from jobsim.testing.injector import Injector
from jobsim.testing.points import Act, Plan
from jobsim.testing.venue import Scene


class KillingInjector(Injector):
    """An injector under which every worker is a child of this process, and dies by SIGKILL.

    What handlers change in memory is gone with the child. So are threads: the child has its own alone.

    Raises:
        ConfigError: this system cannot fork.
    """

    def __init__(self, plan: Plan = (), through: Iterable[object] = ()) -> None:
        super().__init__(plan, through)
        if not hasattr(os, "fork"):
            raise ConfigError('mode="kill" needs a system that can fork a process; this one cannot')
        self._workers = 0
        self._pipe: int | None = None  # in a child: where it tells of itself

    def live(self, life: Life, ends: Counter[str]) -> bool:
        """Let a worker live its `life` in a child; return whether it came to its own end."""
        if self._pipe is not None:
            return super().live(life, ends)
        scene = self._scene
        scene.release()  # no connection is open on both sides of a fork
        self._workers += 1
        ear, mouth = os.pipe()
        child = _fork()
        if not child:
            os.close(ear)
            self._be_the_worker(scene, life, mouth)
        os.close(mouth)
        try:
            with os.fdopen(ear, encoding="utf-8") as lines:
                return any([self._hear(json.loads(line), scene, ends) for line in lines])  # noqa: C419  # hear all
        finally:
            os.waitpid(child, 0)

    @property
    def _scene(self) -> Scene:
        if not isinstance(self.here, Scene):
            raise TypeError("an injector that kills needs a store that it can let go of")
        return self.here

    def _hear(self, said: dict[str, Any], scene: Scene, ends: Counter[str]) -> bool:
        """Take note of what a child says of itself; return whether it came to its own end."""
        match said:
            case {"reached": name, "place": where}:
                if where is not None:
                    self.places[name] = (where[0], where[1])
                super().reach(name)
            case {"ended": how}:
                ends[how] += 1
            case {"time": time, "over": over}:
                scene.move_to(Instant(time))
                return bool(over)
            case {"error": text}:
                raise RuntimeError(f"the worker's process failed:\n{text}")
        return False

    def _be_the_worker(self, scene: Scene, life: Life, mouth: int) -> NoReturn:
        """Live in the child, and end it."""
        self._pipe = mouth
        try:
            scene.mint = IdMint(
                scene.streams.child(f"worker-{self._workers}")
            )  # the parent's goes on by itself
            self.moved_in()
            over = super().live(life, _Told(self))
            self.tell(time=scene.time, over=over)
        except BaseException:  # noqa: BLE001  # nothing of the parent's may run in the child
            self.tell(error=traceback.format_exc())
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(0)

    def tell(self, **said: object) -> None:
        """Tell the parent of this child."""
        if self._pipe is not None:
            os.write(self._pipe, f"{json.dumps(said)}\n".encode())

    def reach(self, name: str) -> Act | None:
        """Note that a worker is at the point `name`, and return what befalls it there."""
        self.tell(reached=name, place=self.places.get(name))
        return super().reach(name)

    def die(self) -> NoReturn:
        """End the process that calls this."""
        os.kill(os.getpid(), signal.SIGKILL)
        super().die()


class _Told(Counter[str]):
    """How attempts ended, told to the parent at once: a child that is killed later has no time for it."""

    def __init__(self, injector: KillingInjector) -> None:
        super().__init__()
        self._injector = injector

    def __setitem__(self, how: str, count: int) -> None:
        self._injector.tell(ended=how)


def _fork() -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or both would write it
    with warnings.catch_warnings():
        # Other threads, such as those of pytest-xdist, do not exist in the child, which needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
