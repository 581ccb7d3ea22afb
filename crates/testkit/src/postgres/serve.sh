# Becomes a PostgreSQL server that ends, and takes its files along, when the watched process is gone.
# sh serve.sh DIR BIN PORT WATCHED
dir=$1 bin=$2 port=$3 watched=$4 server=$$
cd "$dir" || exit 1
(
    # /proc/PID/exe of a zombie leads nowhere, so this also sees an unreaped server as gone.
    while [ -e "/proc/$watched" ] && [ -e "/proc/$server/exe" ]; do sleep 0.2; done
    [ -e "/proc/$watched" ] && exit
    kill -INT "$server"
    while [ -e "/proc/$server/exe" ]; do sleep 0.1; done
    cd / && rm -rf "$dir"
) >/dev/null 2>&1 &
exec "$bin/postgres" -D "$dir/data" -c listen_addresses=127.0.0.1 -c "port=$port" \
    -c unix_socket_directories= -c fsync=on \
    -c ssl=on -c "ssl_cert_file=$dir/certificate.pem" -c "ssl_key_file=$dir/key.pem" \
    -c max_connections=200 -c shared_buffers=32MB \
    >"$dir/server.log" 2>&1
