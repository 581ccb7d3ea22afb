# Runs a program that ends, and takes its folder along, when this shell's input is closed: so also when a test is killed.
# sh serve.sh FOLDER PROGRAM [ARGUMENT...]
folder=$1
shift
"$@" </dev/null >"$folder/server.log" 2>&1 &
echo $!
exec >/dev/null
cat
kill -KILL $!
wait
rm -rf "$folder"
