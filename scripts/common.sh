# Sourced by the other scripts: where the project lies, what it needs, and a few words to the reader.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build_packages=(g++ cmake ninja-build pkg-config libopenblas-dev libfmt-dev zlib1g-dev nlohmann-json3-dev)
example_packages=(libcli11-dev libstb-dev gnuplot-nox dataset-fashion-mnist fortunes fortunes-min)
test_packages=(catch2 libcli11-dev)
benchmark_packages=(libcli11-dev)
ci_packages=(git clang-format clang-tidy gcovr valgrind python3 chromium graphviz)

heading() { printf '\n== %s ==\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
# Runs a command whose output matters only when it fails.
quietly() {
  local output
  output=$("$@" 2>&1) || { printf '%s\n' "$output" >&2; fail "failed: $*"; }
}
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Installs those of the named Debian packages that are missing; with nothing missing it needs no network and no root.
install_packages() {
  command -v dpkg-query apt-get >/dev/null || {
    echo "No apt here. Taking for granted that these, or what they are called here, are installed: $*"
    return
  }
  local package missing=()
  for package; do
    case $package in
      libopenblas-dev)  # any build of OpenBLAS will do, and the one that was chosen stays
        installed libopenblas-dev || installed libopenblas-pthread-dev || installed libopenblas-openmp-dev ||
          installed libopenblas-serial-dev || missing+=("$package") ;;
      *) installed "$package" || missing+=("$package") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "missing packages. As root, please run: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "${missing[@]}" >/dev/null
}
