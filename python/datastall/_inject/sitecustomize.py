# SPDX-License-Identifier: Apache-2.0
# How the hooks come into a Python of a run. Two ways lead here, and who comes second does nothing:
#
# - datastall.pth, where the package is installed: site executes it at each start, and it executes
#   this file when there is a run (DATASTALL_RUN_DIR). -I, -E and a PYTHONPATH set anew keep it.
# - PYTHONPATH, where `datastall run` puts this folder first: for interpreters without the package.
#   Python imports this file as `sitecustomize`; it then hands over to the one that it hides.
#
# It waits for torch.utils.data.dataloader and torchdata.nodes.loader to be imported. A program
# without PyTorch gets one more entry on sys.meta_path and nothing else. Whatever goes wrong here
# must not reach the program; what a signal handler raises here (KeyboardInterrupt, SystemExit) is
# the program's.
#
# Every Python of the run reads this file: its syntax is that of 2.7 and of 3.x.
import sys

HOOKED = ("torch.utils.data.dataloader", "torchdata.nodes.loader")


def _mark(name, text=""):
    """Leaves a mark in the run folder, so that the launcher can say why nothing was recorded."""
    try:
        import os

        path = os.path.join(os.environ["DATASTALL_RUN_DIR"], name)
        mark = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(mark, text.encode("utf-8", "replace"))
        os.close(mark)
    except Exception:
        pass


def _package_spec():
    import importlib.util
    import os

    folder = _Finder.datastall_package
    return importlib.util.spec_from_file_location(
        "datastall",
        os.path.join(folder, "__init__.py"),
        submodule_search_locations=[folder],
    )


def _hook(module):
    """Called with one of HOOKED right after it was executed."""
    try:
        import datastall._hooks  # through _Finder where it is not installed

        datastall._hooks.patch_module(module)
        if module.__name__ == HOOKED[0]:
            _mark("torch-hooked")
    except Exception as error:
        version = "%d.%d" % sys.version_info[:2]
        _mark("hooks-failed", "the hooks failed in Python %s: %r" % (version, error))


class _Loader:
    """Executes a module with its own loader, then calls _hook."""

    def __init__(self, original):
        self._original = original

    def __getattr__(self, name):
        return getattr(self._original, name)

    def create_module(self, spec):
        return self._original.create_module(spec)

    def exec_module(self, module):
        # Nothing of this class stays behind in the module.
        module.__spec__.loader = self._original
        module.__loader__ = self._original
        self._original.exec_module(module)
        _hook(module)


def _spec_of_others(name, path, target):
    for finder in sys.meta_path:
        if finder is not _Finder and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


class _Finder:
    datastall_package = None  # its folder; by this attribute a finder of ours is known
    asking = False

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "datastall":
            return _package_spec()
        if name not in HOOKED or _Finder.asking:
            return None
        _Finder.asking = True  # another finder may ask all others as well, and so this one
        try:
            spec = _spec_of_others(name, path, target)
        finally:
            _Finder.asking = False
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)
        return spec


def _package():
    """The launcher's package; the one that this file belongs to where the environment does not
    count (-I, -E: it must not say what such a Python executes)."""
    import os

    folder = os.environ.get("DATASTALL_PACKAGE_DIR")
    if __name__ == "sitecustomize" or (folder and not sys.flags.ignore_environment):
        return folder
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _start():
    import os

    if "DATASTALL_RUN_DIR" not in os.environ or os.getuid() != os.geteuid():
        return
    if any(hasattr(finder, "datastall_package") for finder in sys.meta_path):
        return
    if sys.version_info < (3, 10):
        _mark("python-too-old", "%d.%d" % sys.version_info[:2])
        return
    if "t" in sys.abiflags:  # whose objects have another layout: the recorder would end the process
        _mark("python-free-threaded", "%d.%d" % sys.version_info[:2])
        return
    _Finder.datastall_package = _package()
    if not _Finder.datastall_package:
        return
    _mark("hooks-loaded")
    sys.meta_path.insert(0, _Finder)
    if __name__ != "sitecustomize":
        # Nothing is left to do there: site imports the program's own sitecustomize, if it has one.
        other = os.path.join(os.environ.get("DATASTALL_PACKAGE_DIR", ""), "_inject")
        sys.path[:] = [entry for entry in sys.path if entry != other]


def _hand_over():
    """Imports the sitecustomize that this one hides, if there is one."""
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.abspath(entry) != here]
    sys.path_importer_cache.pop(here, None)
    if sys.version_info < (3, 5):
        import imp  # raises ImportError where there is none, as is usual for site

        imp.load_module("sitecustomize", *imp.find_module("sitecustomize"))
        return
    import importlib.machinery

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        # What the program would have met: site takes this for what it says.
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
    import importlib.util

    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    _start()
except Exception:
    pass
if __name__ == "sitecustomize":
    _hand_over()  # its errors are the program's own, and site reports them as it always does
