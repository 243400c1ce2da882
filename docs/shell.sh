# Functions for trying the running system by hand, in bash or zsh: source docs/shell.sh
# A ROLE may name a department: handler:technical_support.

url() { # SERVICE: its address
  redress status --json | python3 -c 'import json, sys; print(next(each["url"] for each in json.load(sys.stdin)["services"] if each["service"] == sys.argv[1]))' "$1"
}

token() { # ROLE: a token for an hour
  case "$1" in
    *:*) redress token --role "${1%%:*}" --department "${1#*:}" --sub "local-${1%%:*}" ;;
    *) redress token --role "$1" --sub "local-$1" ;;
  esac
}

get() { # ROLE SERVICE PATH
  curl -sS "$(url "$2")$3" -H "Authorization: Bearer $(token "$1")"
}

post() { # ROLE SERVICE PATH BODY
  curl -sS "$(url "$2")$3" -H "Authorization: Bearer $(token "$1")" \
    -H "Idempotency-Key: by-hand-$RANDOM-$RANDOM" -H "Content-Type: application/json" -d "${4:-"{}"}"
}

field() { # NAME: a field of the JSON object on stdin
  python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

wait_for() { # TEXT ROLE SERVICE PATH: until the answer contains the text, a minute at most
  local address bearer tries=300
  address="$(url "$3")$4" bearer="$(token "$2")"
  until curl -sS "$address" -H "Authorization: Bearer $bearer" | grep -qF "$1"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "$4 of $3 never showed $1" >&2; return 1; }
    sleep 0.2
  done
}
