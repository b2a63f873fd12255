#!/bin/sh
# fill.sh FOLDER MODE MOUNT NODE FILLER FOUND: in a mount namespace of its own.
set -eu
# Big enough that a store that looks at its room does not meet the end of it.
if [ "$2" = watch ]; then size=120; else size=72; fi
folder=$1 mode=$2 mount=$3 node=$4 filler=$5 found=$6
mkdir "$folder/disk"
if [ "$mount" = ext4 ]; then
  dd if=/dev/zero of="$folder/image" bs=1M count=$size status=none
  mkfs.ext4 -q -F -m 0 "$folder/image"
  mount -o loop "$folder/image" "$folder/disk"
else
  mount -t tmpfs -o size=${size}m tmpfs "$folder/disk"
fi
mkfifo "$folder/said"
"$node" --conditions=@nomq/source "$filler" "$folder/disk" "$mode" >"$folder/said" &
child=$!
while read -r line; do
  echo "$line"
  if [ "$line" = done ]; then kill -9 "$child"; fi
done <"$folder/said"
wait "$child" || true
# Looked at where there is room: what LevelDB was compacting when it was killed may fill the small disk by itself.
cp -r "$folder/disk/store" "$folder/left"
umount "$folder/disk"
"$node" --conditions=@nomq/source "$found" "$folder/left"
