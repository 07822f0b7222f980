"""Copies of the project for tests that change something in it."""

import shutil

from ringside.emulators.machines import BUILD, ROOT


def copy_sources(folder):
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))


def copy_products(folder):
    """Of build/ what make has made of the sources: files, and a room for each of the sources' rooms.
    What tests, and other targets, keep beside it may be large, or grow meanwhile."""
    folder.mkdir(parents=True)
    for path in BUILD.iterdir():
        if path.is_file() and not path.is_symlink():
            shutil.copy2(path, folder)
        elif path.is_dir() and (ROOT / path.name).is_dir():
            shutil.copytree(path, folder / path.name)
