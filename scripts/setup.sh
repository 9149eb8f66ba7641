#!/usr/bin/env bash
# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# Make the environment of env.sh: ROS 2 and everything else from PyPI in .venv, and lvs_ros
# itself, with its messages, built by colcon in .build. `make setup` runs this. With
# LVS_ROS=jazzy (`make setup ROS=jazzy`) it is Jazzy, in .venv-jazzy and .build-jazzy.
#
# Each of the two steps ends by writing a stamp with a fingerprint of what it was made from. A
# step whose stamp fits is skipped; an interrupted one has no stamp and is done again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

readonly ROS=${LVS_ROS:-kilted}
case $ROS in
  kilted) readonly VENV=.venv BUILD=.build ENTER='. ./env.sh' ;;
  jazzy) readonly VENV=.venv-jazzy BUILD=.build-jazzy ENTER='LVS_ROS=jazzy . ./env.sh' ;;
  *) fail "ROS=$ROS cannot be installed from PyPI here; give ROS=kilted or ROS=jazzy" ;;
esac
readonly REQUIREMENTS=(requirements.txt "requirements-$ROS.txt")
readonly PACKAGES_STAMP=$VENV/.packages
readonly READY_STAMP=$VENV/.ready
readonly UNFINISHED=$BUILD/unfinished  # there while colcon builds: what is left of it is no good

# A ROS installation that the shell has sourced must not mix with the one that is made here.
unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME
unset LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE VIRTUAL_ENV

fingerprint() { cat "$@" | cksum | tr ' ' '-'; }

# The checkout's path is part of it: a virtual environment cannot be moved.
packages_fingerprint() { echo "$PWD $(fingerprint "${REQUIREMENTS[@]}")"; }

build_fingerprint() {
  local linked
  # Only the contents of what is compiled count. Launch and configuration files are linked into
  # the install folder, so there only a new or a removed file needs a build; the Python modules
  # are found in the source tree itself.
  linked=$(find launch config scripts -type f -not -path '*/__pycache__/*' | LC_ALL=C sort)
  echo "$(packages_fingerprint) $(fingerprint CMakeLists.txt package.xml msg/*.msg \
    scripts/lvs scripts/lvs_node lvs_ros/*/*.cpp lvs_ros/backends/cpu/*/*.cpp lvs_ros/backends/cpu/*/*.h) $(fingerprint - <<< "$linked")"
}

stamp_fits() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

write_stamp() {
  echo "$2" > "$1.new"
  mv "$1.new" "$1"
}

suits() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2> /dev/null
}

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    suits "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of 3.10 to 3.14"
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python3.12 python3.11 python3.13 python3.10 python3.14; do
    if suits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "Python 3.10 to 3.14 is needed, and found was: $(python3 --version 2>&1 || true)." \
    "Install one and name it: make setup PYTHON=python3.12"
}

check_tools() {
  local python=$1 include
  "$python" -c 'import venv, ensurepip' 2> /dev/null \
    || fail "$python has no module venv. On Debian and Ubuntu: apt install python3-venv"
  include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
  [ -f "$include/Python.h" ] \
    || fail "Python.h of $python is missing. On Debian and Ubuntu: apt install python3-dev"
  [ -n "${CXX:-}" ] || command -v c++ g++ clang++ > /dev/null \
    || fail 'no C++ compiler was found. On Debian and Ubuntu: apt install build-essential'
}

install_packages() {
  local python
  python=$(find_python)
  check_tools "$python"
  rm -f "$READY_STAMP"
  if [ ! -f "$PACKAGES_STAMP" ] || [ "$(cut -d' ' -f1 "$PACKAGES_STAMP")" != "$PWD" ] \
      || ! $VENV/bin/python -c '' 2> /dev/null; then
    say "making a virtual environment in $VENV with $("$python" --version)"
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
  fi
  rm -f "$PACKAGES_STAMP"
  touch "$VENV/COLCON_IGNORE"
  say "installing ROS 2 (${ROS^}), PyTorch and the tools from PyPI: a few minutes the first time"
  say "(to watch it: tail -f $BUILD/pip.out)"
  if ! $VENV/bin/python -m pip install --disable-pip-version-check "${REQUIREMENTS[@]/#/-r}" \
      > "$BUILD/pip.out" 2>&1; then
    grep -v '^WARNING' "$BUILD/pip.out" | tail -n 20 >&2
    fail "pip could not install ${REQUIREMENTS[*]}; the end of $BUILD/pip.out stands above." \
      'Once that is mended, run the same command again'
  fi
  write_stamp "$PACKAGES_STAMP" "$(packages_fingerprint)"
}

build_package() {
  local prefix=$PWD/$VENV
  say "building lvs_ros with colcon in $BUILD (some seconds)"
  if [ -f "$UNFINISHED" ] || [ ! -f "$READY_STAMP" ]; then
    rm -rf "$BUILD/build" "$BUILD/install"
  fi
  touch "$UNFINISHED"
  if ! env PATH="$prefix/bin:$PATH" AMENT_PREFIX_PATH="$prefix" CMAKE_PREFIX_PATH="$prefix" \
      colcon --log-base "$BUILD/log" build --base-paths . --packages-select lvs_ros \
      --build-base "$BUILD/build" --install-base "$BUILD/install" \
      --merge-install --symlink-install --event-handlers console_direct+ \
      --cmake-args -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
      "-DPython3_EXECUTABLE=$prefix/bin/python" > "$BUILD/colcon.out" 2>&1; then
    cat "$BUILD/colcon.out" >&2
    fail "colcon could not build lvs_ros; its message stands above, more is in $BUILD/log/latest"
  fi
  write_stamp "$READY_STAMP" "$(build_fingerprint)"
  rm "$UNFINISHED"
}

mkdir -p "$BUILD"
touch "$BUILD/COLCON_IGNORE"
if command -v flock > /dev/null; then  # two calls at once take turns
  exec 9> "$BUILD/lock"
  flock 9
fi
if stamp_fits "$READY_STAMP" "$(build_fingerprint)" && $VENV/bin/python -c '' 2> /dev/null; then
  say "the environment in $VENV is ready"
  exit 0
fi
if ! stamp_fits "$PACKAGES_STAMP" "$(packages_fingerprint)" \
    || ! $VENV/bin/python -c '' 2> /dev/null; then
  install_packages
fi
build_package
say "done. Enter the environment with:  $ENTER"
