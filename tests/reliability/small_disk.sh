# A command on a small disk of its own, which fills up or becomes read-only, and then gets better.
# sh small_disk.sh full|read-only PLACE SIZE PAUSE COMMAND...  (in a mount namespace, as root)
kind=$1 place=$2 size=$3 pause=$4
shift 4
mount -t tmpfs -o "size=$size" tmpfs "$place/disk" || exit 77
if [ "$kind" = read-only ]; then # no disk becomes so while a file on it is open for writing
    "$@" >/dev/null 2>&1 &
    while [ ! -s "$place/disk/run/study.db" ] && kill -0 $! 2>/dev/null; do sleep 0.05; done
    sleep "$pause"
    kill -9 $! 2>/dev/null
    wait $!
    mount -o remount,ro "$place/disk" || exit 77
fi
"$@" 2>"$place/said" >"$place/out"
echo $? >"$place/code"
mount -o remount,rw,size=100m "$place/disk"
"$@" 2>"$place/said-again" >"$place/out-again"
code=$?
cp -r "$place/disk" "$place/copy"
exit $code
