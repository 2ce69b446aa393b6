#!/usr/bin/env bash
# Puts what the hardware-in-the-loop test needs beside Go into the user's cache
# folder: the kernel of Debian 12, and its modules for simulated GPIO chips and
# for the virtual machine's network card. Debian does not build gpio-sim, so that
# it is built here, out of tree, from Debian's own source of the same kernel.
# Does nothing when all is there.
set -euo pipefail

parts=${XDG_CACHE_HOME:-$HOME/.cache}/perrondrukte/hil
have() { command -v "$1" >/dev/null; }

# What another version of this script left is made anew.
recipe=$(sha256sum <"$0")
if have qemu-system-x86_64 && [ "$(cat "$parts/complete" 2>/dev/null)" = "$recipe" ]; then
	exit 0
fi
if ! have apt-get || [ "$(dpkg --print-architecture)" != amd64 ]; then
	echo 'the kernel for the virtual machine comes from the packages of Debian 12 on amd64; this is another system' >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(sudo)
fi
apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

apt update
# Kernel, headers and source have to be of one version: the newest.
image=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-6\.1\.0-[0-9]*-amd64\)$/\1/p')
if [ -z "$image" ]; then
	echo 'linux-image-amd64 is not of Linux 6.1: this is not Debian 12' >&2
	exit 1
fi
release=${image#linux-image-}
apt install -y --no-install-recommends qemu-system-x86 "linux-headers-$release" make gcc libc6-dev xz-utils

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt-get downloads as a user of its own
cd "$work"

# These are unpacked and not installed: this machine keeps its kernel, and two
# files of the source are enough.
from=linux-source-6.1
apt-get -q download "$image" $from

# Simulated GPIO chips want configfs, and the guest's network card the rest.
loadable=(
	fs/configfs/configfs
	drivers/virtio/{virtio_ring,virtio,virtio_pci_legacy_dev,virtio_pci_modern_dev,virtio_pci}
	net/core/failover
	drivers/net/{net_failover,virtio_net}
)
loadable=("${loadable[@]/#/./lib/modules/$release/kernel/}")
loadable=("${loadable[@]/%/.ko}")
dpkg-deb --fsys-tarfile ./"$image"_*.deb | tar -x "./boot/vmlinuz-$release" "${loadable[@]}"

dpkg-deb --fsys-tarfile ./$from*.deb | tar -x ./usr/src/$from.tar.xz
tar -xJf usr/src/$from.tar.xz --occurrence \
	$from/drivers/gpio/gpio-sim.c $from/drivers/gpio/gpiolib.h $from/kernel/irq/irq_sim.c
mkdir modules
cp $from/drivers/gpio/gpio-sim.c $from/drivers/gpio/gpiolib.h $from/kernel/irq/irq_sim.c modules/
# irq_sim.c was written to be a part of the kernel: a module has no licence yet,
# and may not call irq_to_desc.
echo 'MODULE_LICENSE("GPL");' >>modules/irq_sim.c
cat >modules/irq_desc.h <<'EOF'
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/module.h>
#define irq_to_desc(n) irq_data_to_desc(irq_get_irq_data(n))
EOF
cat >modules/Makefile <<'EOF'
obj-m := irq_sim.o gpio-sim.o
CFLAGS_irq_sim.o := -include $(src)/irq_desc.h
EOF
make -C "/usr/src/linux-headers-$release" M="$work/modules" modules

mkdir -p "$parts"
rm -f "$parts"/*
cp "boot/vmlinuz-$release" "$parts/vmlinuz"
cp "${loadable[@]}" modules/irq_sim.ko modules/gpio-sim.ko "$parts/"
echo "$recipe" >"$parts/complete"
