#!/bin/sh
# jail.sh - execute a command under a root that has the tools, a tree, and nothing else of this machine
#
# usage: sh jail.sh TREE BYTES COMMAND [ARGUMENT ...], as root, in a namespace of mounts and processes of its
# own (handin.py). The command finds itself in /tree; /tmp is empty and holds BYTES.

set -eu

tree=$1 bytes=$2 root=/mnt
shift 2
mount -t tmpfs -o size=1m,mode=755 none $root
cd $root
mkdir usr etc etc/alternatives dev proc tmp tree
for name in bin sbin lib lib32 lib64 libx32; do
	if [ -L /$name ]; then
		cp -P /$name .
	elif [ -d /$name ]; then
		mkdir $name
		mount --rbind -o ro /$name $name
	fi
done
mount --rbind -o ro /usr usr
mount --bind /etc/alternatives etc/alternatives
for name in null zero urandom; do
	: >dev/$name
	mount --bind /dev/$name dev/$name
done
mount -t proc none proc
mount -t tmpfs -o size="$bytes",mode=1777 none tmp
mount --bind "$tree" tree
# shellcheck disable=SC2016 # the inner shell's words
exec chroot . sh -c 'cd /tree && exec "$@"' sh "$@"
