#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the lab's kernel from a Debian linux-source package and prints the folder of its build tree, which has
# arch/x86/boot/bzImage and what modules are built against. Everything is kept in LAB_CACHE, by a digest of what went in,
# so that the next call only looks. Needs the network once, and no root.
#
#   LAB_CACHE   where it is kept                        LAB_SUITE   Debian's suite, bookworm-backports say
#   LAB_SOURCE  the package, linux-source-6.12 say      LAB_DEBUG   1: a kernel with lockdep, KASAN and the like
set -eu
lab=$(cd "$(dirname "$0")" && pwd)
: "${LAB_CACHE:?says where the kernel is kept}"
mkdir -p "$LAB_CACHE"
cache=$(cd "$LAB_CACHE" && pwd)
package=${LAB_SOURCE:-linux-source-6.12}
jobs=${LAB_JOBS:-$(nproc)}

say() { printf 'lab: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# The newest release that has what we want: Debian 12 has 6.12 in its backports, Debian 13 has it in itself.
default_suite() {
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    case $codename in
    bookworm) echo bookworm-backports ;;
    '') echo unstable ;;
    *) echo "$codename" ;;
    esac
}

apt_get() {
    apt-get -qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$apt/lists" \
        -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o APT::Get::List-Cleanup=0 -o Acquire::Retries=3 \
        -o Acquire::http::Timeout=60 -o Acquire::Languages=none "$@"
}

# fetch TARBALL: the package's source archive, by apt from the mirror that this machine already uses for Debian.
fetch() {
    apt=$cache/apt-$suite
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "main" && $3 !~ /-security|-updates/ { print $4; exit }')
    [ -n "$mirror" ] || fail "apt knows no mirror of Debian (run apt-get update); give a kernel by LAB_KERNEL or LAB_KDIR"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
    say "fetching $package of $suite"
    apt_get update
    (cd "$apt" && rm -f ./*.deb && apt_get download "$package") || fail "$suite has no $package that can be fetched"
    rm -rf "$apt/unpacked"
    dpkg -x "$apt"/*.deb "$apt/unpacked"
    mv "$apt"/unpacked/usr/src/linux-source-*.tar.xz "$1.partial"
    dpkg-deb -f "$apt"/*.deb Version >"$1.version"
    mv "$1.partial" "$1"
    rm -rf "$apt"
}

# unpack: drivers that no lab has, and their headers by the hundred megabytes, stay out; their Kconfig must not.
unpack() {
    say "unpacking $(basename "$tarball")"
    rm -rf "$source.partial"
    mkdir "$source.partial"
    tar -C "$source.partial" --strip-components=1 -xf "$tarball" --exclude='*/Documentation/*/*' \
        --exclude='*/drivers/gpu/drm/*/*.[ch]' --exclude='*/drivers/media/*/*.[ch]' --exclude='*/drivers/net/*/*.[ch]' \
        --exclude='*/arch/[!x]*/*/*.[chS]' --exclude='*/arch/*/boot/dts/*' --exclude='*/tools/testing/*' \
        --exclude='*/sound/*/*.[ch]'
    mv "$source.partial" "$source"
}

# configure: allnoconfig with our options; one that was dropped is named.
configure() {
    cat "$lab/kernel.config" >"$tree/lab.config"
    [ "${LAB_DEBUG:-0}" != 1 ] || cat "$lab/kernel-debug.config" >>"$tree/lab.config"
    sed 's/ *# optional$//' "$tree/lab.config" >"$tree/all.config"
    KCONFIG_ALLCONFIG="$tree/all.config" make -s -C "$source" O="$tree" allnoconfig >"$tree/config.log" 2>&1 ||
        { cat "$tree/config.log" >&2; fail "the kernel could not be configured"; }
    dropped=$(grep '^CONFIG_' "$tree/lab.config" | grep -v '# optional$' | grep -vxF -f "$tree/.config") || :
    [ -z "$dropped" ] || fail "$package does not take:" $dropped
    touch "$tree/configured"
}

build() {
    say "building the kernel, some minutes (log: $tree/build.log)"
    nice make -s -C "$source" O="$tree" -j"$jobs" KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab bzImage modules \
        >"$tree/build.log" 2>&1 || { tail -n 30 "$tree/build.log" >&2; fail "the kernel did not build"; }
}

suite=${LAB_SUITE:-$(default_suite)}
tarball=$cache/$suite-$package.tar.xz
source=$cache/$suite-$package
tree=

exec 9>"$cache/lock"
flock -w 3000 9 || fail "another run has held $cache/lock for 50 minutes"
[ -f "$tarball.version" ] && [ -d "$source" ] || [ -f "$tarball" ] || fetch "$tarball"
key=$({ cat "$tarball.version" "$lab/kernel.config"
    [ "${LAB_DEBUG:-0}" != 1 ] || cat "$lab/kernel-debug.config"
    gcc -dumpfullversion; } | sha256sum | cut -c1-16)
tree=$cache/kernel-$key
if [ ! -f "$tree/done" ]; then
    [ -d "$source" ] || unpack
    # What a run that was ended left behind is built on.
    mkdir -p "$tree"
    [ -f "$tree/configured" ] || configure
    build
    find "$tree" -name '*.o' ! -path '*/scripts/*' ! -path '*/tools/*' -delete
    touch "$tree/done"
fi
echo "$tree"
