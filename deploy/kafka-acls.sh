#!/bin/sh
# The rights in Kafka of each service, and no more. Made by `stream-app acls kafka`; to run again does no harm.
#
#   BOOTSTRAP=kafka-1:9092 ADMIN_CONFIG=admin.properties sh kafka-acls.sh
#
# BOOTSTRAP     the first broker to ask
# ADMIN_CONFIG  a file with the login of a user who may grant rights: security.protocol, sasl.jaas.config and so on
# KAFKA_ACLS    where kafka-acls.sh of the Kafka distribution is, if not on the PATH
set -eu
: "${BOOTSTRAP:?}" "${ADMIN_CONFIG:?}"

allow() {
  user=$1
  shift
  "${KAFKA_ACLS:-kafka-acls.sh}" --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN_CONFIG" \
    --add --allow-principal "User:$user" "$@"
}

# worker
allow churn-worker --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters
allow churn-worker --operation Read --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores
allow churn-worker --operation Write --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters
allow churn-worker --operation Read --group churn --resource-pattern-type prefixed

# trainer
allow churn-trainer --operation Describe --operation DescribeConfigs --topic shop.labelled
allow churn-trainer --operation Read --topic shop.labelled
allow churn-trainer --operation Write --topic shop.dead-letters
allow churn-trainer --operation Read --group churn --resource-pattern-type prefixed

# desk
allow churn-desk --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters
allow churn-desk --operation Read --topic shop.nominations --topic shop.contacts
allow churn-desk --operation Write --topic shop.alerts --topic shop.contacts --topic shop.dead-letters
allow churn-desk --operation Read --group churn --resource-pattern-type prefixed

# deliver
allow churn-deliver --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters
allow churn-deliver --operation Read --topic shop.alerts
allow churn-deliver --operation Write --topic shop.dead-letters
allow churn-deliver --operation Read --group churn --resource-pattern-type prefixed

# publish
allow churn-publish --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.ticks
allow churn-publish --operation Read --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.ticks
allow churn-publish --operation Write --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.ticks

# shop
allow churn-shop --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.ticks
allow churn-shop --operation Read --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.ticks
allow churn-shop --operation Write --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.ticks --topic shop.contacts

# operator
allow churn-operator --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters
allow churn-operator --operation Read --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts
allow churn-operator --operation Write --topic shop.contacts

# accept
allow churn-accept --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters

# topics
allow churn-topics --operation Create --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters
allow churn-topics --operation Describe --operation DescribeConfigs --topic shop.browsing --topic shop.cart --topic shop.complaints --topic shop.orders --topic shop.contacts --topic shop.ticks --topic shop.labelled --topic shop.nominations --topic shop.scores --topic shop.alerts --topic shop.dead-letters
