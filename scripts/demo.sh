#!/usr/bin/env bash
# A video goes up and comes back: scripts/demo.sh [VIDEO]. Builds, starts the sandbox, mounts, copies the video (or one
# that ffmpeg makes), shows what happens, fetches the asset and compares. Nothing leaves this machine; nothing is left.
. "$(dirname "$0")/lib.sh"

# A pace at which the progress can be watched.
NETWORK="12MB/s"

given=${1:-}
[[ -z $given || -f $given ]] || die "no such file: $given"

"$ROOT/scripts/setup.sh"
awaited "$ROOT/scripts/build.sh"
make_workspace demo

if [[ -n $given ]]; then
    video=$(realpath -- "$given")
else
    step "Making a video"
    video="$WORKSPACE/holiday.mp4"
    awaited ffmpeg -v error -f lavfi -i "testsrc2=size=1280x720:rate=25:duration=30" \
        -f lavfi -i "sine=frequency=440:duration=30" -vf "noise=alls=20:allf=t" \
        -c:v libx264 -preset ultrafast -b:v 9M -minrate 9M -maxrate 9M -bufsize 9M -pix_fmt yuv420p -c:a aac "$video"
    good "$(basename "$video"): 30 seconds, $(human_bytes "$(stat -c %s "$video")")"
fi
name=$(basename -- "$video")

step "Starting the sandbox: a stand-in of the platform on this machine, behind a network of $NETWORK"
start_sandbox "$WORKSPACE/sandbox" --bandwidth "$NETWORK"
good "$SANDBOX_URL"

step "Mounting"
mount_point="$WORKSPACE/twelvelabs"
mkdir "$mount_point"
command_line "twelvefs mount $mount_point --api-url $SANDBOX_URL"
mount_twelvefs "$mount_point" "$WORKSPACE/state" --log-file "$WORKSPACE/twelvefs.log"
good "served by process $SERVER_PID"

step "Copying"
command_line "cp $name $mount_point/"
cp -- "$video" "$mount_point/" &
copy=$!
remember_process "$copy"
status_file="$mount_point/.status/by-name/$name.json"
awaited python3 "$ROOT/scripts/progress.py" "$status_file" "$copy"
wait "$copy" || die "cp failed: $(json_field error <"$status_file")"
good "cp returned 0: the platform has every byte"

step "What twelvefs says about it"
command_line "twelvefs status $mount_point"
"$TWELVEFS" status "$mount_point" </dev/null | sed 's/^/  /'
printf '\n'
command_line "cat .status/by-name/$name.json"
python3 "$ROOT/scripts/progress.py" --document "$status_file" | sed 's/^/  /'

step "Fetching the asset back"
awaited python3 "$ROOT/scripts/progress.py" --until-ready "$status_file"
url=$(json_field asset_url <"$status_file")
awaited curl -sS --fail --output "$WORKSPACE/fetched" "$url"
sent=$(sha256sum <"$video" | cut -d ' ' -f 1)
back=$(sha256sum <"$WORKSPACE/fetched" | cut -d ' ' -f 1)
say "sent     $sent"
say "fetched  $back"
[[ $sent == "$back" ]] || die "the asset is not what was sent"
good "the same bytes"
if length=$(ffprobe -v error -show_entries format=duration -of default=nokey=1:noprint_wrappers=1 "$WORKSPACE/fetched" </dev/null); then
    good "and it plays: ${length%.*} seconds"
elif [[ -z $given ]]; then
    die "the fetched video does not play"
fi

step "Unmounting"
command_line "twelvefs unmount $mount_point"
"$TWELVEFS" unmount "$mount_point" </dev/null
! is_mounted "$mount_point" || die "it is still mounted"
! is_running "$SERVER_PID" || die "the process that served it still runs"
good "unmounted, and the process has ended"

printf '\n%sWith your own account:%s\n' "$BOLD" "$PLAIN"
say "export TWELVELABS_API_KEY=…"
say "mkdir -p ~/twelvelabs && .build/release/twelvefs mount ~/twelvelabs"
say "cp VIDEO ~/twelvelabs/"
