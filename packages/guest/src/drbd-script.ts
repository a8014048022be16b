/**
 * The init of a guest that replicates its disk with DRBD 8.4: a shell script in the initramfs, process 1, which obeys the host like
 * the one of guest-script.ts. It has no root disk: /dev/vda is DRBD's, and what works on the disk works on /dev/drbd0.
 *
 * Commands: `net ADDRESS`, `up KIB_PER_SECOND` (metadata, resource, disk), `primary`, `secondary`, `connect OWN OTHER PROTOCOL`, `disconnect OWN OTHER`,
 * `status` (connection, roles and disks of /proc/drbd), `tick`, `rewrite MIB KIB_PER_SECOND`, `diabolical MIB`, `rest`, `down`, `poweroff`.
 */

/** The script, to be installed as /init. */
export const DRBD_SCRIPT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /tmp /sbin /usr/sbin /var/lib/drbd /var/lock /var/run
/bin/busybox --install -s /sbin
export PATH=/drbd:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
say() { printf '\\n%s\\n' "$*" >&3; }
for module in /modules/*.ko; do
  # No handlers are there to be called at events.
  options=
  case $module in *-drbd.ko) options=usermode_helper=disabled ;; esac
  insmod $module $options || { say DS-FATAL cannot load $module; sleep 1; poweroff -f; }
done
tries=0
until [ -b /dev/vda ]; do
  tries=$((tries + 1))
  [ $tries -gt 100 ] && { say DS-FATAL no disk appeared; sleep 1; poweroff -f; }
  usleep 50000
done
hostname "$(cat /proc/sys/kernel/random/uuid)"

begin() { rm -f /tmp/rest; [ -p /tmp/never ] || mkfifo /tmp/never; }
resting() { [ -e /tmp/rest ]; }
centiseconds() { read -r now ignored < /proc/uptime; now=\${now%.*}\${now#*.}; }
put() { dd if=/dev/urandom of=/dev/drbd0 bs=512k count=$1 seek=$2 conv=notrunc,fsync 2>/dev/null; }
tick() {
  exec 4<>/tmp/never
  n=0
  until resting; do
    n=$((n + 1))
    read -r up idle < /proc/uptime
    say DS-TICK $n $up
    read -r -t 0.01 nothing <&4
  done
}
# As in guest-script.ts and guest-workloads.ts, without a file system between.
rewrite_region() {
  n=0; centiseconds; next=$now
  until resting; do
    put 1 $((n % ($1 * 2))) || return
    n=$((n + 1)); say DS-WROTE $n
    next=$((next + 51200 / $2)); centiseconds
    [ $next -ge $((now - 100)) ] || next=$now
    [ $next -le $now ] || usleep $(((next - now) * 10000))
  done
}
diabolical() {
  n=0
  until resting; do
    at=0
    while [ $at -lt $1 ] && ! resting; do
      put 2 $((at * 2)) || return
      at=$((at + 1)); n=$((n + 1)); say DS-WROTE $n
    done
    echo 3 > /proc/sys/vm/drop_caches
    at=0
    while [ $at -lt $1 ] && ! resting; do
      dd if=/dev/drbd0 of=/dev/null bs=512k count=2 skip=$((at * 2)) 2>/dev/null || return
      at=$((at + 1)); say DS-READ $at
    done
  done
}
cmd_up() {
  drbdmeta --force 0 v08 /dev/vda internal create-md > /tmp/log 2>&1 &&
    drbdsetup-84 new-resource r0 >> /tmp/log 2>&1 &&
    drbdsetup-84 new-minor r0 0 0 >> /tmp/log 2>&1 &&
    drbdsetup-84 attach 0 /dev/vda /dev/vda internal --c-plan-ahead=0 --resync-rate=$1 >> /tmp/log 2>&1
}
cmd_connect() {
  drbdsetup-84 connect r0 ipv4:$1:7789 ipv4:$2:7789 --protocol=$3 --max-buffers=8000 --sndbuf-size=0 > /tmp/log 2>&1
}
simple() { drbdsetup-84 "$@" > /tmp/log 2>&1; }
cmd_rest() { : > /tmp/rest; wait; }

say "DS-READY $(cut -d ' ' -f 1 /proc/uptime)"
while :; do
  read -r tag command first second third rest <&3 || { sleep 1; continue; }
  answer=
  : > /tmp/log
  case "$command" in
    net) ifconfig lo 127.0.0.1 up && ifconfig eth0 "$first" up ;;
    up) cmd_up "$first" ;;
    primary) simple primary 0 --force ;;
    secondary) simple secondary 0 ;;
    connect) cmd_connect "$first" "$second" "$third" ;;
    disconnect) simple disconnect ipv4:$first:7789 ipv4:$second:7789 ;;
    status) answer=$(awk '$1 == "0:" { print $2, $3, $4 }' /proc/drbd) ;;
    tick) begin; tick & renice -n -15 -p $! > /dev/null ;;
    rewrite) begin; rewrite_region "$first" "$second" & ;;
    diabolical) begin; diabolical "$first" & ;;
    rest) cmd_rest ;;
    down) cmd_rest; simple down r0 ;;
    poweroff) : ;;
    *) (exit 127) ;;
  esac
  code=$?
  if [ $code != 0 ]; then
    say DS-FAIL $tag $command $(tail -n 2 /tmp/log | tr '\\n' ' ') $code
    continue
  fi
  say DS-OK $tag $command $first $answer
  [ "$command" != poweroff ] || poweroff -f
done
`;
