/**
 * What a guest can do beside its commands, for benchmarks: shell functions for the init of guest-script.ts.
 *
 * Each goes on until `rest` and says its steps on the line, DS-WROTE for what is written and fsynced, DS-READ for what was read
 * past the cache; or it serves the network and its client tells. Where a step touches follows from a seed alone; what is
 * written is random.
 */

/** Defines the workloads. `begin`, `say`, `forget_cache` and a pipe that nobody writes to are the script's. */
export const WORKLOAD_SCRIPT = `servers=
# The next number of a sequence, below $1 (the constants of the C standard's example).
draw() { state=$(((state * 1103515245 + 12345) & 2147483647)); drawn=$(((state >> 8) % $1)); }
resting() { [ -e /tmp/rest ]; }
# Writes $1 MiB and reads it back past the cache, again and again, as fast as it goes.
diabolical() {
  n=0
  until resting; do
    at=0
    while [ $at -lt $1 ] && ! resting; do
      dd if=/dev/urandom of=/data/.big bs=512k count=2 seek=$((at * 2)) conv=notrunc,fsync 2>/dev/null || return
      at=$((at + 1)); n=$((n + 1)); say DS-WROTE $n
    done
    forget_cache
    at=0
    while [ $at -lt $1 ] && ! resting; do
      dd if=/data/.big of=/dev/null bs=512k count=2 skip=$((at * 2)) 2>/dev/null || return
      at=$((at + 1)); say DS-READ $at
    done
  done
}
# Single blocks of 4 KiB all over $1 MiB, two reads past the cache to each synchronous write.
mix() {
  state=$2 n=0
  until resting; do
    draw $(($1 * 256))
    if [ $((n % 3)) = 0 ]; then
      dd if=/dev/urandom of=/data/.mix bs=4k count=1 seek=$drawn conv=notrunc,fsync 2>/dev/null || return
      say DS-WROTE $n
    else
      dd if=/data/.mix of=/dev/null bs=4k count=1 skip=$drawn iflag=direct 2>/dev/null || return
      say DS-READ $n
    fi
    n=$((n + 1))
  done
}
# As SQLite does it: a journal, fsynced, then 4 to 19 pages of a database of $1 MiB, fsynced, then no journal; then a pause.
bursts() {
  state=$2 n=0
  until resting; do
    draw 16; pages=$((drawn + 4))
    dd if=/dev/urandom of=/data/.database-journal bs=4k count=$pages conv=fsync 2>/dev/null || return
    draw $(($1 * 256 - pages))
    dd if=/dev/urandom of=/data/.database bs=4k count=$pages seek=$drawn conv=notrunc,fsync 2>/dev/null || return
    rm -f /data/.database-journal
    n=$((n + 1)); say DS-WROTE $n
    draw 1000; usleep $((drawn * 1000))
  done
}
# Rewrites $1 MiB of memory at $2 MiB per second.
dirty_memory() {
  n=0
  until resting; do
    dd if=/dev/urandom of=/tmp/dirty bs=1M count=1 seek=$((n % $1)) conv=notrunc 2>/dev/null || return
    n=$((n + 1)); say DS-WROTE $n
    usleep $((1000000 / $2))
  done
}
filled() { dd if=/dev/urandom of=$1 bs=1M count=$2 conv=fsync 2>/dev/null; }
cmd_diabolical() { begin; filled /data/.big "$1" && { diabolical "$1" & }; }
cmd_mix() { begin; filled /data/.mix "$1" && { mix "$1" "$2" & }; }
cmd_bursts() { begin; filled /data/.database "$1" && { bursts "$1" "$2" & }; }
cmd_dirty() { begin; dirty_memory "$1" "$2" & }
cmd_net() { ifconfig lo 127.0.0.1 up && ifconfig eth0 "$1" up; }
# Serves the installed files, $1 MiB of a film, and a board whose posts are appended and fsynced; every request is logged.
cmd_web() {
  begin
  mkdir -p /data/www/cgi-bin
  ln -sf /usr/lib /data/www/lib
  find /usr/lib -type f -size -100 | sort | head -n 200 > /data/www/index
  [ -z "$1" ] || filled /data/www/film "$1" || return
  printf '%s\\n' '#!/bin/sh' 'dd of=/data/www/board bs=4k oflag=append conv=notrunc,fsync 2>/dev/null || exit' \
    'printf "Content-Type: text/plain\\r\\n\\r\\nposted\\n"' > /data/www/cgi-bin/post
  chmod 755 /data/www/cgi-bin/post
  : > /data/www/board
  httpd -f -v -p 80 -h /data/www 2>> /data/www.log &
  servers="$servers $!"
}
# Zeros to whoever connects, as fast as the network takes them.
cmd_flood() {
  begin
  nc -ll -p 5001 -e cat /dev/zero &
  servers="$servers $!"
}`;

/** Their lines of the script's table of commands. */
export const WORKLOAD_CASES = `diabolical) cmd_diabolical "$first" ;;
    mix) cmd_mix "$first" "$second" ;;
    bursts) cmd_bursts "$first" "$second" ;;
    dirty) cmd_dirty "$first" "$second" ;;
    net) cmd_net "$first" ;;
    web) cmd_web "$first" ;;
    flood) cmd_flood ;;`;
