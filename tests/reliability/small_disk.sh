# A command on a small disk of its own, which fills up or becomes read-only, and then gets better.
# sh small_disk.sh full|read-only PLACE SIZE PAUSE COMMAND...  (in a mount namespace, as root)
kind=$1 place=$2 size=$3 pause=$4
shift 4
mount -t tmpfs -o "size=$size" tmpfs "$place/disk" || exit 77
if [ "$kind" = read-only ]; then
    "$@" 2>"$place/said" >"$place/out" &
    command=$!
    while [ ! -s "$place/disk/run/study.db" ] && kill -0 $command 2>/dev/null; do sleep 0.05; done
    sleep "$pause"
    # files that are open for writing keep a disk writable: the mount alone is locked
    mount -o remount,bind,ro "$place/disk"
    wait $command
else
    "$@" 2>"$place/said" >"$place/out"
fi
echo $? >"$place/code"
if [ "$kind" = read-only ]; then mount -o remount,bind,rw "$place/disk"; fi
mount -o remount,size=100m "$place/disk"
"$@" 2>"$place/said-again" >"$place/out-again"
code=$?
cp -r "$place/disk" "$place/copy"
exit $code
