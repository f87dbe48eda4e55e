#!/bin/bash
# Run by the PostgreSQL image once, on an empty data folder: a role and its databases for TravelHub, and for Temporal.
# Neither role can read the other's databases.
set -euo pipefail

: "${TRAVELHUB_DATABASE_PASSWORD:?}" "${TEMPORAL_DATABASE_PASSWORD:?}"

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set travelhub_password="$TRAVELHUB_DATABASE_PASSWORD" --set temporal_password="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE travelhub LOGIN PASSWORD :'travelhub_password';
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE travelhub OWNER travelhub;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE travelhub, temporal, temporal_visibility FROM PUBLIC;
SQL
