#!/usr/bin/env bash
# A real S3 server for tests: Ceph's monitor, one OSD in memory and radosgw, on loopback, without systemd.
# usage: start_rgw.sh FOLDER S3_PORT MONITOR_PORT ACCESS_KEY SECRET_KEY
set -euo pipefail
folder=$1 port=$2 monitor_port=$3 access_key=$4 secret_key=$5
mkdir -p "$folder"/{mon,osd0,rgw,log}
cat > "$folder/ceph.conf" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = [v2:127.0.0.1:$monitor_port]
mon_initial_members = a
run_dir = $folder
# With cephx off radosgw never finishes connecting.
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
mon_warn_on_pool_no_redundancy = false
mon_data_avail_crit = 1
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
admin_socket = $folder/\$name.asok
log_file = $folder/log/\$name.log
pid_file = $folder/\$name.pid
keyring = $folder/keyring
[mon]
mon_data = $folder/mon
mon_cluster_log_file = $folder/log/cluster.log
[osd]
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_memory_target = 939524096
osd_data = $folder/osd0
osd_class_load_list = *
osd_class_default_list = *
[client]
keyring = $folder/keyring
rgw_data = $folder/rgw
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_thread_pool_size = 64
CONF
conf="$folder/ceph.conf" keyring="$folder/keyring"
ceph-authtool --create-keyring "$keyring" --gen-key -n mon. --cap mon 'allow *'
ceph-authtool "$keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$conf")" \
  --addv a "[v2:127.0.0.1:$monitor_port]" "$folder/monmap"
ceph-mon --mkfs -c "$conf" -i a --monmap "$folder/monmap" --keyring "$keyring"
ceph-mon -c "$conf" -i a
osd=$(cat /proc/sys/kernel/random/uuid)
ceph-authtool "$keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap mgr 'allow profile osd' --cap osd 'allow *'
printf '{"cephx_secret":"%s"}' "$(ceph-authtool -p -n osd.0 "$keyring")" | ceph -c "$conf" osd new "$osd" 0 -i -
ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd"
ceph -c "$conf" osd crush add osd.0 1.0 host=localhost root=default
ceph-osd -c "$conf" -i 0
radosgw -c "$conf" -n client.admin -k "$keyring" --rgw-frontends "beast endpoint=127.0.0.1:$port" \
  --pid-file "$folder/rgw.pid" --log-file "$folder/log/rgw.log"
radosgw-admin -c "$conf" user create --uid tester --display-name tester \
  --access-key "$access_key" --secret-key "$secret_key"
