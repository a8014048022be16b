/**
 * The init of the guest: a shell script on its disk, process 1, which obeys the host over the second serial line.
 *
 * Protocol (protocol.ts is the other end): the guest prints `DS-READY UPTIME` once; the host sends `@N COMMAND ARGS`;
 * the guest answers with exactly one line, `DS-OK @N COMMAND …` or `DS-FAIL @N COMMAND … CODE`. Crash order of a write:
 * content, fsync, then its record in /data/.manifest, fsync, then the answer. A record names the file by its sequence
 * number, so a write over an old name that is cut short leaves the old file and its record valid. Records are framed by
 * newlines and a closing dot: one that was cut is passed over and cannot spoil the next. `tick`, `work` and
 * `rewrite MIB KIB_PER_S` go on by themselves and print DS-TICK and DS-WROTE with a count, until `rest`; so do the workloads
 * of guest-workloads.ts.
 */
import { WORKLOAD_CASES, WORKLOAD_SCRIPT } from './guest-workloads.ts';

/** File read at boot, one path per line: what the "services" of this guest need to be up. */
export const BOOT_LIST = '/etc/boot.list';

/** The script, to be installed as /init-guest. */
export const GUEST_SCRIPT = `#!/bin/sh
export PATH=/bin
cd /
mount -t devtmpfs dev /dev
mount -t proc proc /proc
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
manifest=/data/.manifest

say() { printf '\\n%s\\n' "$*" >&3; }
forget_cache() { echo 3 > /proc/sys/vm/drop_caches; }
records() { awk 'NF == 5 && $5 == "."' $manifest 2>/dev/null; }
# Numbers, each followed by a digest of name and seed: every 4 KiB block is unlike every other, of any file.
content() { seq -s " $(printf '%s %s' "$1" "$3" | sha512sum | cut -c 1-128) " 1 999999999 | head -c "$2"; }
sha_of() { sha256sum < "$1" | cut -c 1-64; }
# Prints "SEQUENCE SHA256 SIZE" of the newest record of a name.
find_record() { records | awk -v name="$1" '$4 == name { last = $1 " " $2 " " $3 } END { print last }'; }

cmd_write() {
  set -- "$1" "$2" "$3" $(find_record "$1")
  old=$4
  sequence=$(records | awk '$1 > n { n = $1 } END { print n + 1 }')
  file=/data/$1.$sequence
  content "$1" "$2" "$3" | dd of=$file bs=64k conv=fsync 2>/dev/null || { code=$?; rm -f $file; return $code; }
  [ "$(stat -c %s $file)" = "$2" ] || return 5
  sum=$(sha_of $file)
  printf '\\n%s %s %s %s .\\n' $sequence $sum "$2" "$1" |
    dd of=$manifest oflag=append conv=notrunc,fsync 2>/dev/null || return $?
  [ -z "$old" ] || rm -f /data/$1.$old
  answer="$sum $sequence"
}
cmd_read() {
  set -- "$1" $(find_record "$1")
  [ -n "$2" ] || return 2
  forget_cache
  sum=$(sha_of /data/$1.$2) || return 5
  answer="$(stat -c %s /data/$1.$2) $sum"
}
cmd_check() {
  cmd_read "$1" || return $?
  answer=$sum
  [ "$sum" = "$2" ]
}
cmd_checkall() {
  forget_cache
  records | awk '{ line[$4] = $2 "  /data/" $4 "." $1 } END { for (n in line) print line[n] }' > /tmp/sums
  count=$(wc -l < /tmp/sums)
  [ $count = 0 ] || sha256sum -c < /tmp/sums > /tmp/result 2>&1 || {
    answer=$(awk -F: '/^\\/data/ && $2 != " OK" { sub("/data/", "", $1); print $1; exit }' /tmp/result)
    return 1
  }
  answer=$count
}
# Work that goes on beside the commands until \`rest\`, and says each step on the line. A timed read of a pipe that nobody
# writes to sleeps without starting a process.
begin() { rm -f /tmp/rest; [ -p /tmp/never ] || mkfifo /tmp/never; }
tick() {
  exec 4<>/tmp/never
  n=0
  until [ -e /tmp/rest ]; do
    n=$((n + 1))
    read -r up idle < /proc/uptime
    say DS-TICK $n $up
    read -r -t 0.01 nothing <&4
  done
}
write_journal() {
  exec 4<>/tmp/never
  n=0
  until [ -e /tmp/rest ]; do
    n=$((n + 1))
    printf '%4095d\\n' $n | dd of=/data/.journal bs=4k oflag=append conv=notrunc,fsync 2>/dev/null || return
    say DS-WROTE $n
    read -r -t 0.1 nothing <&4
  done
}
centiseconds() { read -r now ignored < /proc/uptime; now=\${now%.*}\${now#*.}; }
# Random blocks of 512 KiB over a region of $1 MiB, fsynced, at $2 KiB per second.
rewrite_region() {
  n=0; centiseconds; next=$now
  until [ -e /tmp/rest ]; do
    dd if=/dev/urandom of=/data/.region bs=512k count=1 seek=$((n % ($1 * 2))) conv=notrunc,fsync 2>/dev/null || return
    n=$((n + 1)); say DS-WROTE $n
    next=$((next + 51200 / $2)); centiseconds
    [ $next -ge $((now - 100)) ] || next=$now
    [ $next -le $now ] || usleep $(((next - now) * 10000))
  done
}
# Every 20 ms 32 blocks of 4 KiB, one after the other, somewhere on the disk and past the cache.
read_around() {
  n=0; blocks=$(awk '$4 == "vda" { print int($3 / 4) - 32 }' /proc/partitions)
  until [ -e /tmp/rest ]; do
    n=$((n + 1))
    dd if=/dev/vda of=/dev/null bs=4k count=32 skip=$((n * 40503 % blocks)) iflag=direct 2>/dev/null || return
    usleep 20000
  done
}
cmd_reads() {
  begin
  read_around &
}
cmd_tick() {
  begin
  tick &
  renice -n -15 -p $! > /dev/null
}
cmd_work() {
  cmd_tick
  : > /data/.journal
  write_journal &
}
cmd_rewrite() {
  begin
  dd if=/dev/urandom of=/data/.region bs=1M count="$1" conv=fsync 2>/dev/null || return
  rewrite_region "$1" "$2" &
}
${WORKLOAD_SCRIPT}
cmd_rest() {
  : > /tmp/rest
  [ -z "$servers" ] || kill -9 $servers
  servers=
  wait
  forget_cache
  [ -e /data/.journal ] || return 0
  sum=$(sha_of /data/.journal) || return 5
  answer="$(($(stat -c %s /data/.journal) / 4096)) $sum"
}
cmd_stop() {
  : > /tmp/rest
  [ -z "$servers" ] || kill -9 $servers
  wait
  sync && umount /tmp && mount -o remount,ro /
}

mount -t tmpfs tmp /tmp
xargs cat < ${BOOT_LIST} > /dev/null
say "DS-READY $(cut -d ' ' -f 1 /proc/uptime)"
while :; do
  read -r tag command first second third rest <&3 || { sleep 1; continue; }
  answer=
  case "$command" in
    write) cmd_write "$first" "$second" "$third" ;;
    read) cmd_read "$first" ;;
    check) cmd_check "$first" "$second" ;;
    checkall) cmd_checkall ;;
    tick) cmd_tick ;;
    work) cmd_work ;;
    reads) cmd_reads ;;
    rewrite) cmd_rewrite "$first" "$second" ;;
    rest) cmd_rest ;;
    ${WORKLOAD_CASES}
    reboot | poweroff) cmd_stop ;;
    *) (exit 127) ;;
  esac
  code=$?
  if [ $code != 0 ]; then
    say DS-FAIL $tag $command $first $answer $code
    continue
  fi
  say DS-OK $tag $command $first $answer
  case "$command" in
    reboot | poweroff)
      exec 3>&-
      $command -f
      ;;
  esac
done
`;
