#!/bin/sh
# Lays out Temporal's two databases, or brings them up to the version of this image. Safe to run at every start: set-up leaves
# an existing schema alone, and an update applies only what is missing. The databases themselves come from create-databases.sh.
set -eu

: "${SQL_PASSWORD:?the password of the role temporal}"

sql_tool() { temporal-sql-tool --plugin postgres12 --ep postgres -p 5432 -u temporal "$@"; }

lay_out() { # the database, and the folder of its versions
  echo "Schema of the database $1 ..."
  sql_tool --db "$1" setup-schema -v 0.0
  sql_tool --db "$1" update-schema -d "/etc/temporal/schema/postgresql/v12/$2/versioned"
}

lay_out temporal temporal
lay_out temporal_visibility visibility
echo 'Both schemas are up to date.'
