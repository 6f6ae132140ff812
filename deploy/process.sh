# shellcheck shell=bash disable=SC2034 # what these functions set is for those who source this
# Processes remembered in files, and told from strangers that later got the same number.
# To be sourced by bash. A file holds the process's number and the time it started, as the kernel counts it.

# process_look PID: sets process_state and process_start; false if there is no such process.
process_look() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -r -a fields <<<"${stat##*) }"
    process_state=${fields[0]}
    process_start=${fields[19]}
}

# process_save FILE PID
process_save() {
    process_look "$2" || return 1
    printf '%s %s\n' "$2" "$process_start" >"$1.new" && mv "$1.new" "$1"
}

# process_find FILE: true if the process that was saved there runs still; sets process_pid and
# process_state. One that ended and was never asked for by its parent counts as ended.
process_find() {
    local start
    process_pid=''
    [ -r "$1" ] && read -r process_pid start <"$1" || return 1
    process_look "$process_pid" && [ "$process_start" = "$start" ] && [[ $process_state != [ZX] ]]
}

# process_signal FILE SIGNAL: false if it does not run.
process_signal() {
    process_find "$1" && kill "-$2" "$process_pid" 2>/dev/null
}

# process_wait_end FILE LIMIT_MS
process_wait_end() {
    local waited=0
    while process_find "$1"; do
        [ "$waited" -lt "$2" ] || return 1
        sleep 0.02
        waited=$((waited + 20))
    done
}

# process_wait_line FILE LOG OFFSET PATTERN LIMIT_MS: until the log has a line like that behind its
# first OFFSET bytes; false if the process ends before, or the time is over.
process_wait_line() {
    local waited=0
    until tail -c "+$(($3 + 1))" "$2" 2>/dev/null | grep -q -- "$4"; do
        process_find "$1" && [ "$waited" -lt "$5" ] || return 1
        sleep 0.02
        waited=$((waited + 20))
    done
}

# process_last_words LOG OFFSET: its last line behind OFFSET bytes, for an error message.
process_last_words() {
    tail -c "+$(($2 + 1))" "$1" 2>/dev/null | tail -n 1
}

# file_bytes FILE: 0 if there is none.
file_bytes() {
    stat -c %s "$1" 2>/dev/null || echo 0
}
