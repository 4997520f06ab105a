"""Finds the queue that ``module:queue`` names in the user's own code."""

import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from jobsim.core.errors import ConfigError, JobsimError, StorageError, did_you_mean
from jobsim.core.masking import masked

if TYPE_CHECKING:
    from jobsim.queue import Queue


class AppError(JobsimError):
    """The module that should hold the queue raised while it was imported."""


def load_queue(target: str) -> "Queue":
    """Return the queue that `target`, such as ``app:queue``, names; the current directory is searched.

    Raises:
        ConfigError: there is no such module or queue.
        AppError: the module raised while it was imported.
        StorageError: so did its queue's store.
    """
    from jobsim.queue import Queue

    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise ConfigError(f"{masked(target)!r} names no queue; write module:queue, such as app:queue")
    _check_name(module_name, path)
    found: object = _import(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            raise ConfigError(f"{_name_of(found)} has no {name!r}{_nearest(name, found, Queue)}")
        found = getattr(found, name)
    if not isinstance(found, Queue):
        others = ", ".join(f"{module_name}:{name}" for name in _queues(sys.modules[module_name], Queue))
        hint = f"; there is {others}" if others else ""
        raise ConfigError(f"{target} is {_a(type(found).__name__)}, not a jobsim.Queue{hint}")
    return found


def _check_name(module_name: str, path: str) -> None:
    """Refuse a file's name where a module's belongs."""
    if all(part.isidentifier() for part in module_name.split(".")):
        if module_name.endswith(".py") and not Path(*module_name.split(".")).is_dir():
            raise ConfigError(_as_module(module_name, path))
        return
    raise ConfigError(_as_module(module_name, path))


def _as_module(file: str, path: str) -> str:
    likely = ".".join(Path(file.removesuffix(".py")).parts)
    hint = f"; write {likely}:{path}" if all(p.isidentifier() for p in likely.split(".")) else ""
    return f"{file!r} is not the name of a module{hint}"


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            near = did_you_mean(error.name, (file.stem for file in Path(here).glob("*.py")))
            raise ConfigError(
                f"there is no module {error.name!r} in the current directory or among what is installed{near}"
            ) from None
        raise _app_error(name, error) from error
    except StorageError:
        raise
    except SystemExit as error:
        raise _app_error(
            name, error, "; keep what runs the program behind if __name__ == '__main__'"
        ) from error
    except Exception as error:
        raise _app_error(name, error) from error


def _app_error(module: str, error: BaseException, hint: str = "") -> AppError:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    why = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return AppError(f"{_place(module, error)}: importing {module!r} failed: {why}{hint}")


def _place(module: str, error: BaseException) -> str:
    """Return the file and line to look at: the deepest one of the user's own."""
    here = Path.cwd()
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename, here)}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)[1:]
        if not frame.filename.startswith("<frozen")
    ]
    own = [f for f in frames if here in Path(f.filename).parents and "site-packages" not in f.filename]
    for frame in own[-1:] or frames[1:2]:
        return f"{_shown(frame.filename, here)}:{frame.lineno}"
    return module


def _shown(file: str, here: Path) -> str:
    path = Path(file)
    return str(path.relative_to(here)) if here in path.parents else file


def _name_of(found: object) -> str:
    if isinstance(found, ModuleType):
        return f"module {found.__name__!r}"
    return _a(type(found).__name__)


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'AEIOUaeiou' else 'a'} {noun}"


def _queues(found: object, queue: type) -> list[str]:
    return [name for name, value in vars(found).items() if isinstance(value, queue)]


def _nearest(name: str, found: object, queue: type) -> str:
    """Return the attribute that was likely meant: a queue if there is one."""
    queues = _queues(found, queue) if isinstance(found, ModuleType) else []
    if len(queues) == 1:
        return f" (did you mean {queues[0]!r}?)"
    return did_you_mean(name, queues or [known for known in dir(found) if not known.startswith("_")])
