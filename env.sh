# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# Enter the environment that `make setup` made:  . ./env.sh   (bash or zsh, from any folder)
# or the one of `make setup ROS=jazzy`:  LVS_ROS=jazzy . ./env.sh
#
# On a ROS machine with a colcon workspace, source the workspace's setup file instead of this.

if [ -n "${BASH_VERSION:-}" ]; then
  _lvs_root=${BASH_SOURCE[0]}
elif [ -n "${ZSH_VERSION:-}" ]; then
  eval '_lvs_root=${(%):-%x}'  # quoted: bash cannot parse it
else
  _lvs_root=./env.sh
fi
_lvs_root=$(CDPATH= cd -- "$(dirname -- "$_lvs_root")" > /dev/null && pwd -P)

_lvs_ros=${LVS_ROS:-kilted}
case $_lvs_ros in
  kilted) _lvs_suffix= ;;
  *) _lvs_suffix=-$_lvs_ros ;;
esac
_lvs_venv=$_lvs_root/.venv$_lvs_suffix
_lvs_install=$_lvs_root/.build$_lvs_suffix/install

if [ ! -f "$_lvs_venv/.ready" ]; then
  echo "env.sh: the environment is not made yet. Make it with:  make -C $_lvs_root setup ROS=$_lvs_ros" >&2
  unset _lvs_root _lvs_ros _lvs_suffix _lvs_venv _lvs_install
  return 1 2> /dev/null || exit 1
fi

case ":${AMENT_PREFIX_PATH:-}:" in
  :: | *":$_lvs_install:"*) ;;
  *) echo "env.sh: leaving the ROS environment of this shell for the one in .venv$_lvs_suffix" >&2 ;;
esac

. "$_lvs_venv/bin/activate"
_lvs_site=$("$_lvs_venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# Replaced, not extended: modules and libraries of two ROS installations must not mix.
export AMENT_PREFIX_PATH="$_lvs_install:$_lvs_venv"
export CMAKE_PREFIX_PATH="$AMENT_PREFIX_PATH"
export PYTHONPATH="$_lvs_root:$_lvs_install${_lvs_site#"$_lvs_venv"}"
unset COLCON_PREFIX_PATH
export ROS_VERSION=2 ROS_PYTHON_VERSION=3 ROS_DISTRO=$_lvs_ros
export RMW_IMPLEMENTATION=rmw_fastrtps_cpp  # the only one that the wheels bring

# The ROS wheels set the library path by starting each Python twice, in an order that changes
# from run to run. Setting it here, and saying so, saves that and adds the compiled messages.
if [ -z "${_LVS_ENV_ROOT:-}" ]; then
  _LVS_OUTER_LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
  _LVS_OUTER_PATH=$PATH
fi
_LVS_ENV_ROOT=$_lvs_root
_lvs_libs=$(find "$_lvs_site" -maxdepth 1 -name 'ros_*.libs' | LC_ALL=C sort | tr '\n' ':')
export LD_LIBRARY_PATH="$_lvs_install/lib:$_lvs_venv/lib:${_lvs_libs%:}${_LVS_OUTER_LD_LIBRARY_PATH:+:$_LVS_OUTER_LD_LIBRARY_PATH}"
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1

# Large images need it in the process that publishes them: `lvs play`, the demo's camera, the node.
# Fast DDS 3, which came with Kilted, has renamed the variable.
_lvs_profile=$_lvs_root/config/fastdds_large_images.xml
[ "${FASTDDS_DEFAULT_PROFILES_FILE:-}" != "$_lvs_profile" ] || unset FASTDDS_DEFAULT_PROFILES_FILE
[ "${FASTRTPS_DEFAULT_PROFILES_FILE:-}" != "$_lvs_profile" ] || unset FASTRTPS_DEFAULT_PROFILES_FILE
if [ -z "${FASTDDS_DEFAULT_PROFILES_FILE:-}${FASTRTPS_DEFAULT_PROFILES_FILE:-}${FASTDDS_BUILTIN_TRANSPORTS:-}" ]; then
  case $_lvs_ros in
    jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE="$_lvs_profile" ;;
    *) export FASTDDS_DEFAULT_PROFILES_FILE="$_lvs_profile" ;;
  esac
fi

# The commands lvs and lvs_node
case ":$PATH:" in
  *":$_lvs_install/lib/lvs_ros:"*) ;;
  *) export PATH="$_lvs_install/lib/lvs_ros:$PATH" ;;
esac

unset _lvs_root _lvs_ros _lvs_suffix _lvs_venv _lvs_install _lvs_site _lvs_libs _lvs_profile
