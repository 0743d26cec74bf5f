/* A row for each function of the library: ROW(name, what it does with each NULL that its header does not allow). See
 * test_null.c, which says what the words mean and finds the function that has no row. No #pragma once: it is read twice. */

/* ---- error.h, client.h, scope.h, namespace.h ---- */
ROW(tenure_error_kind, IS(tenure_error_kind(12345) == TENURE_KIND_INTERNAL))
ROW(tenure_error_string, IS(tenure_error_string(12345) != NULL))
ROW(tenure_kind_string, IS(tenure_kind_string((enum tenure_kind)99) != NULL))
ROW(tenure_error_applied, IS(tenure_error_applied(NULL) == TENURE_APPLIED_NO))
ROW(tenure_version, IS(tenure_version() != NULL))
ROW(tenure_open, tenure_close(tenure_open(NULL, NULL, NULL)))
ROW(tenure_open_uv, NONE(tenure_open_uv(NULL, "127.0.0.1:1", NULL, &err)))
ROW(tenure_open_poll, tenure_close(tenure_open_poll(NULL, NULL, NULL)))
ROW(tenure_fd, IS(tenure_fd(NULL) == -1))
ROW(tenure_timeout_ms, IS(tenure_timeout_ms(NULL) == -1))
ROW(tenure_turn, IS(tenure_turn(NULL) == TENURE_EINVALID))
ROW(tenure_close, tenure_close(NULL))
ROW(tenure_close_start, tenure_close_start(NULL, NULL, NULL))
ROW(tenure_endpoints, IS(tenure_endpoints(NULL) == 0))
ROW(tenure_endpoint, IS(tenure_endpoint(NULL, 0) == NULL))
ROW(tenure_stats, BAD(tenure_stats(NULL, &(struct tenure_stats){.size = sizeof(struct tenure_stats)}, &err));
    BAD(tenure_stats(c, NULL, &err)))
ROW(tenure_endpoint_stats,
    BAD(tenure_endpoint_stats(NULL, 0, &(struct tenure_endpoint_stats){.size = sizeof(struct tenure_endpoint_stats)},
                              &err));
    BAD(tenure_endpoint_stats(c, 0, NULL, &err)))
ROW(tenure_scope_new, tenure_scope_free(tenure_scope_new(NULL, NULL)))
ROW(tenure_scope_use, IS(tenure_scope_use(NULL) == NULL))
ROW(tenure_scope_cancel, tenure_scope_cancel(NULL))
ROW(tenure_scope_code, IS(tenure_scope_code(NULL) == 0))
ROW(tenure_scope_calls, IS(tenure_scope_calls(NULL) == 0))
ROW(tenure_scope_free, tenure_scope_free(NULL))
ROW(tenure_namespace, NONE(tenure_namespace(NULL, key, &err)); NONE(tenure_namespace(c, no_data, &err)))

/* ---- kv.h ---- */
ROW(tenure_str, IS(tenure_str(NULL).len == 0))
ROW(tenure_get, BAD(tenure_get(NULL, key, NULL, &g, &err)); BAD(tenure_get(c, no_data, NULL, &g, &err)))
ROW(tenure_get_start, BAD(tenure_get_start(NULL, key, NULL, on_get, NULL, &err));
    BAD(tenure_get_start(c, key, NULL, NULL, NULL, &err)))
ROW(tenure_get_free, tenure_get_free(NULL))
ROW(tenure_put, BAD(tenure_put(NULL, key, key, NULL, NULL, &err)); BAD(tenure_put(c, no_data, key, NULL, NULL, &err));
    BAD(tenure_put(c, key, no_data, NULL, NULL, &err)))
ROW(tenure_put_start, BAD(tenure_put_start(NULL, key, key, NULL, NULL, NULL, &err));
    BAD(tenure_put_start(c, key, no_data, NULL, NULL, NULL, &err)))
ROW(tenure_put_free, tenure_put_free(NULL))
ROW(tenure_delete, BAD(tenure_delete(NULL, key, NULL, NULL, &err)); BAD(tenure_delete(c, no_data, NULL, NULL, &err)))
ROW(tenure_delete_start, BAD(tenure_delete_start(NULL, key, NULL, NULL, NULL, &err));
    BAD(tenure_delete_start(c, no_data, NULL, NULL, NULL, &err)))
ROW(tenure_delete_free, tenure_delete_free(NULL))
ROW(tenure_compact, BAD(tenure_compact(NULL, 1, false, 0, &err)))
ROW(tenure_compact_start, BAD(tenure_compact_start(NULL, 1, false, 0, NULL, NULL, &err)))
ROW(tenure_txn_new, tenure_txn *t = tenure_txn_new(NULL); BAD(tenure_txn_commit(t, 0, NULL, &err)); tenure_txn_free(t))
ROW(tenure_txn_free, tenure_txn_free(NULL))
ROW(tenure_if, tenure_if(NULL, NULL); SPOILS(tenure_if(t, NULL)))
ROW(tenure_if_version, tenure_if_version(NULL, key, TENURE_EQ, 0); SPOILS(tenure_if_version(t, no_data, TENURE_EQ, 0)))
ROW(tenure_if_create_revision, tenure_if_create_revision(NULL, key, TENURE_EQ, 0);
    SPOILS(tenure_if_create_revision(t, no_data, TENURE_EQ, 0)))
ROW(tenure_if_mod_revision, tenure_if_mod_revision(NULL, key, TENURE_EQ, 0);
    SPOILS(tenure_if_mod_revision(t, no_data, TENURE_EQ, 0)))
ROW(tenure_if_lease, tenure_if_lease(NULL, key, TENURE_EQ, 0); SPOILS(tenure_if_lease(t, no_data, TENURE_EQ, 0)))
ROW(tenure_if_value, tenure_if_value(NULL, key, TENURE_EQ, key); SPOILS(tenure_if_value(t, key, TENURE_EQ, no_data)))
ROW(tenure_then_put, tenure_then_put(NULL, key, key, 0); SPOILS(tenure_then_put(t, key, no_data, 0)))
ROW(tenure_then_put_with, tenure_then_put_with(NULL, key, key, NULL);
    SPOILS(tenure_then_put_with(t, key, no_data, NULL)))
ROW(tenure_then_get, tenure_then_get(NULL, key, NULL); SPOILS(tenure_then_get(t, no_data, NULL)))
ROW(tenure_then_delete, tenure_then_delete(NULL, key, NULL); SPOILS(tenure_then_delete(t, no_data, NULL)))
ROW(tenure_then_txn, tenure_then_txn(NULL, NULL); SPOILS_AS(TENURE_ENOMEM, tenure_then_txn(t, NULL)))
ROW(tenure_else_put, tenure_else_put(NULL, key, key, 0); SPOILS(tenure_else_put(t, key, no_data, 0)))
ROW(tenure_else_put_with, tenure_else_put_with(NULL, key, key, NULL);
    SPOILS(tenure_else_put_with(t, key, no_data, NULL)))
ROW(tenure_else_get, tenure_else_get(NULL, key, NULL); SPOILS(tenure_else_get(t, no_data, NULL)))
ROW(tenure_else_delete, tenure_else_delete(NULL, key, NULL); SPOILS(tenure_else_delete(t, no_data, NULL)))
ROW(tenure_else_txn, tenure_else_txn(NULL, NULL); SPOILS_AS(TENURE_ENOMEM, tenure_else_txn(t, NULL)))
ROW(tenure_txn_exact, tenure_txn_exact(NULL, true))
ROW(tenure_txn_commit, IS(tenure_txn_commit(NULL, 0, NULL, NULL) == TENURE_ENOMEM)) /* as its builder, see kv.h */
ROW(tenure_txn_start, IS(tenure_txn_start(NULL, 0, NULL, NULL, NULL) == TENURE_ENOMEM))
ROW(tenure_txn_result_free, tenure_txn_result_free(NULL))
ROW(tenure_put_if, BAD(tenure_put_if(NULL, key, key, 0, NULL, NULL, &err));
    BAD(tenure_put_if(c, key, no_data, 0, NULL, NULL, &err)))
ROW(tenure_put_if_start, BAD(tenure_put_if_start(NULL, key, key, 0, NULL, NULL, NULL, &err));
    BAD(tenure_put_if_start(c, no_data, key, 0, NULL, NULL, NULL, &err)))
ROW(tenure_delete_if, BAD(tenure_delete_if(NULL, key, 1, NULL, NULL, &err));
    BAD(tenure_delete_if(c, no_data, 1, NULL, NULL, &err)))
ROW(tenure_delete_if_start, BAD(tenure_delete_if_start(NULL, key, 1, NULL, NULL, NULL, &err));
    BAD(tenure_delete_if_start(c, no_data, 1, NULL, NULL, NULL, &err)))
ROW(tenure_cas_free, tenure_cas_free(NULL))
ROW(tenure_watch_start, NONE(tenure_watch_start(NULL, key, NULL, &err));
    NONE(tenure_watch_start(c, no_data, NULL, &err)))
ROW(tenure_watch_stop, tenure_watch_stop(NULL))
ROW(tenure_lease_grant, BAD(tenure_lease_grant(NULL, 10, 0, &n, NULL, &err));
    BAD(tenure_lease_grant(c, 10, 0, NULL, &n, &err)))
ROW(tenure_lease_grant_start, BAD(tenure_lease_grant_start(NULL, 10, 0, on_lease, NULL, &err));
    BAD(tenure_lease_grant_start(c, 10, 0, NULL, NULL, &err)))
ROW(tenure_lease_revoke, BAD(tenure_lease_revoke(NULL, 1, &err)))
ROW(tenure_lease_revoke_start, BAD(tenure_lease_revoke_start(NULL, 1, NULL, NULL, &err)))
ROW(tenure_lease_keepalive, BAD(tenure_lease_keepalive(NULL, 1, NULL, &err)))
ROW(tenure_lease_keepalive_start, BAD(tenure_lease_keepalive_start(NULL, 1, NULL, NULL, &err)))
ROW(tenure_lease_ttl, struct tenure_lease_info *r; BAD(tenure_lease_ttl(NULL, 1, false, &r, &err));
    BAD(tenure_lease_ttl(c, 1, false, NULL, &err)))
ROW(tenure_lease_ttl_start, BAD(tenure_lease_ttl_start(NULL, 1, false, on_lease_info, NULL, &err));
    BAD(tenure_lease_ttl_start(c, 1, false, NULL, NULL, &err)))
ROW(tenure_lease_info_free, tenure_lease_info_free(NULL))
ROW(tenure_lease_list, struct tenure_lease_list *r; BAD(tenure_lease_list(NULL, &r, &err));
    BAD(tenure_lease_list(c, NULL, &err)))
ROW(tenure_lease_list_start, BAD(tenure_lease_list_start(NULL, on_lease_list, NULL, &err));
    BAD(tenure_lease_list_start(c, NULL, NULL, &err)))
ROW(tenure_lease_list_free, tenure_lease_list_free(NULL))

/* ---- iterator.h ---- */
ROW(tenure_range_iter_new, NONE(tenure_range_iter_new(NULL, key, NULL, &err));
    NONE(tenure_range_iter_new(c, no_data, NULL, &err)))
ROW(tenure_range_iter_next, BAD(tenure_range_iter_next(NULL, &g, &err));
    tenure_range_iter *it = tenure_range_iter_new(c, key, NULL, NULL); BAD(tenure_range_iter_next(it, NULL, &err));
    tenure_range_iter_free(it))
ROW(tenure_range_iter_next_start, BAD(tenure_range_iter_next_start(NULL, on_get, NULL, &err));
    tenure_range_iter *it = tenure_range_iter_new(c, key, NULL, NULL);
    BAD(tenure_range_iter_next_start(it, NULL, NULL, &err)); tenure_range_iter_free(it))
ROW(tenure_range_iter_free, tenure_range_iter_free(NULL))

/* ---- cluster.h ---- */
ROW(tenure_member_list, struct tenure_member_list *r; BAD(tenure_member_list(NULL, false, 0, &r, &err));
    BAD(tenure_member_list(c, false, 0, NULL, &err)))
ROW(tenure_member_list_start, BAD(tenure_member_list_start(NULL, false, 0, on_members, NULL, &err));
    BAD(tenure_member_list_start(c, false, 0, NULL, NULL, &err)))
ROW(tenure_member_list_free, tenure_member_list_free(NULL))
ROW(tenure_member_add, BAD(tenure_member_add(NULL, &text, 1, false, 0, NULL, &err));
    BAD(tenure_member_add(c, NULL, 1, false, 0, NULL, &err));
    BAD(tenure_member_add(c, &(const char *){NULL}, 1, false, 0, NULL, &err)))
ROW(tenure_member_add_start, BAD(tenure_member_add_start(NULL, &text, 1, false, 0, NULL, NULL, &err));
    BAD(tenure_member_add_start(c, NULL, 1, false, 0, NULL, NULL, &err)))
ROW(tenure_member_remove, BAD(tenure_member_remove(NULL, 1, 0, NULL, &err)))
ROW(tenure_member_remove_start, BAD(tenure_member_remove_start(NULL, 1, 0, NULL, NULL, &err)))
ROW(tenure_member_update, BAD(tenure_member_update(NULL, 1, &text, 1, 0, NULL, &err));
    BAD(tenure_member_update(c, 1, NULL, 1, 0, NULL, &err)))
ROW(tenure_member_update_start, BAD(tenure_member_update_start(NULL, 1, &text, 1, 0, NULL, NULL, &err));
    BAD(tenure_member_update_start(c, 1, NULL, 1, 0, NULL, NULL, &err)))
ROW(tenure_member_promote, BAD(tenure_member_promote(NULL, 1, 0, NULL, &err)))
ROW(tenure_member_promote_start, BAD(tenure_member_promote_start(NULL, 1, 0, NULL, NULL, &err)))

/* ---- maintenance.h ---- */
ROW(tenure_status, struct tenure_status *r; BAD(tenure_status(NULL, 0, 0, &r, &err));
    BAD(tenure_status(c, 0, 0, NULL, &err)))
ROW(tenure_status_start, BAD(tenure_status_start(NULL, 0, 0, on_status, NULL, &err));
    BAD(tenure_status_start(c, 0, 0, NULL, NULL, &err)))
ROW(tenure_status_free, tenure_status_free(NULL))
ROW(tenure_health, bool yes; BAD(tenure_health(NULL, 0, 0, &yes, &err)); BAD(tenure_health(c, 0, 0, NULL, &err)))
ROW(tenure_health_start, BAD(tenure_health_start(NULL, 0, 0, on_health, NULL, &err));
    BAD(tenure_health_start(c, 0, 0, NULL, NULL, &err)))
ROW(tenure_alarm_list, struct tenure_alarm_list *r; BAD(tenure_alarm_list(NULL, 0, &r, &err));
    BAD(tenure_alarm_list(c, 0, NULL, &err)))
ROW(tenure_alarm_list_start, BAD(tenure_alarm_list_start(NULL, 0, on_alarms, NULL, &err));
    BAD(tenure_alarm_list_start(c, 0, NULL, NULL, &err)))
ROW(tenure_alarm_list_free, tenure_alarm_list_free(NULL))
ROW(tenure_alarm_disarm, BAD(tenure_alarm_disarm(NULL, &(struct tenure_alarm){1, TENURE_ALARM_NOSPACE}, 0, NULL, &err));
    BAD(tenure_alarm_disarm(c, NULL, 0, NULL, &err)))
ROW(tenure_alarm_disarm_start,
    BAD(tenure_alarm_disarm_start(NULL, &(struct tenure_alarm){1, TENURE_ALARM_NOSPACE}, 0, NULL, NULL, &err));
    BAD(tenure_alarm_disarm_start(c, NULL, 0, NULL, NULL, &err)))
ROW(tenure_defragment, BAD(tenure_defragment(NULL, 0, 0, &err)))
ROW(tenure_defragment_start, BAD(tenure_defragment_start(NULL, 0, 0, NULL, NULL, &err)))
ROW(tenure_hash, uint32_t hash; BAD(tenure_hash(NULL, 0, 0, &hash, &err)); BAD(tenure_hash(c, 0, 0, NULL, &err)))
ROW(tenure_hash_start, BAD(tenure_hash_start(NULL, 0, 0, on_hash, NULL, &err));
    BAD(tenure_hash_start(c, 0, 0, NULL, NULL, &err)))
ROW(tenure_hash_kv, struct tenure_hash_kv r; BAD(tenure_hash_kv(NULL, 0, 0, 0, &r, &err));
    BAD(tenure_hash_kv(c, 0, 0, 0, NULL, &err)))
ROW(tenure_hash_kv_start, BAD(tenure_hash_kv_start(NULL, 0, 0, 0, on_hash_kv, NULL, &err));
    BAD(tenure_hash_kv_start(c, 0, 0, 0, NULL, NULL, &err)))
ROW(tenure_snapshot, BAD(tenure_snapshot(NULL, 0, 0, on_piece, NULL, &err));
    BAD(tenure_snapshot(c, 0, 0, NULL, NULL, &err)))
ROW(tenure_snapshot_start, BAD(tenure_snapshot_start(NULL, 0, 0, on_piece, on_done, NULL, &err));
    BAD(tenure_snapshot_start(c, 0, 0, NULL, on_done, NULL, &err));
    BAD(tenure_snapshot_start(c, 0, 0, on_piece, NULL, NULL, &err)))
ROW(tenure_snapshot_fd, BAD(tenure_snapshot_fd(NULL, 0, 0, -1, &err)))
ROW(tenure_move_leader, BAD(tenure_move_leader(NULL, 0, 1, 0, &err)))
ROW(tenure_move_leader_start, BAD(tenure_move_leader_start(NULL, 0, 1, 0, NULL, NULL, &err)))
ROW(tenure_downgrade, BAD(tenure_downgrade(NULL, TENURE_DOWNGRADE_VALIDATE, "3.6", 0, NULL, &err)))
ROW(tenure_downgrade_start, BAD(tenure_downgrade_start(NULL, TENURE_DOWNGRADE_VALIDATE, "3.6", 0, NULL, NULL, &err)))

/* ---- auth.h ---- */
ROW(tenure_auth_enable, BAD(tenure_auth_enable(NULL, &err)))
ROW(tenure_auth_enable_start, BAD(tenure_auth_enable_start(NULL, NULL, NULL, &err)))
ROW(tenure_auth_disable, BAD(tenure_auth_disable(NULL, &err)))
ROW(tenure_auth_disable_start, BAD(tenure_auth_disable_start(NULL, NULL, NULL, &err)))
ROW(tenure_auth_status, BAD(tenure_auth_status(NULL, NULL, NULL, &err)))
ROW(tenure_auth_status_start, BAD(tenure_auth_status_start(NULL, on_auth_status, NULL, &err));
    BAD(tenure_auth_status_start(c, NULL, NULL, &err)))
ROW(tenure_names_free, tenure_names_free(NULL))
ROW(tenure_user_add, BAD(tenure_user_add(NULL, "u", "p", &err)); BAD(tenure_user_add(c, NULL, "p", &err)))
ROW(tenure_user_add_start, BAD(tenure_user_add_start(NULL, "u", "p", NULL, NULL, &err));
    BAD(tenure_user_add_start(c, NULL, "p", NULL, NULL, &err)))
ROW(tenure_user_delete, BAD(tenure_user_delete(NULL, "u", &err)); BAD(tenure_user_delete(c, NULL, &err)))
ROW(tenure_user_delete_start, BAD(tenure_user_delete_start(NULL, "u", NULL, NULL, &err));
    BAD(tenure_user_delete_start(c, NULL, NULL, NULL, &err)))
ROW(tenure_user_set_password, BAD(tenure_user_set_password(NULL, "u", "p", &err));
    BAD(tenure_user_set_password(c, NULL, "p", &err)); BAD(tenure_user_set_password(c, "u", NULL, &err)))
ROW(tenure_user_set_password_start, BAD(tenure_user_set_password_start(NULL, "u", "p", NULL, NULL, &err));
    BAD(tenure_user_set_password_start(c, "u", NULL, NULL, NULL, &err)))
ROW(tenure_user_grant_role, BAD(tenure_user_grant_role(NULL, "u", "r", &err));
    BAD(tenure_user_grant_role(c, NULL, "r", &err)); BAD(tenure_user_grant_role(c, "u", NULL, &err)))
ROW(tenure_user_grant_role_start, BAD(tenure_user_grant_role_start(NULL, "u", "r", NULL, NULL, &err));
    BAD(tenure_user_grant_role_start(c, "u", NULL, NULL, NULL, &err)))
ROW(tenure_user_revoke_role, BAD(tenure_user_revoke_role(NULL, "u", "r", &err));
    BAD(tenure_user_revoke_role(c, NULL, "r", &err)); BAD(tenure_user_revoke_role(c, "u", NULL, &err)))
ROW(tenure_user_revoke_role_start, BAD(tenure_user_revoke_role_start(NULL, "u", "r", NULL, NULL, &err));
    BAD(tenure_user_revoke_role_start(c, "u", NULL, NULL, NULL, &err)))
ROW(tenure_user_get, struct tenure_names *r; BAD(tenure_user_get(NULL, "u", &r, &err));
    BAD(tenure_user_get(c, NULL, &r, &err)); BAD(tenure_user_get(c, "u", NULL, &err)))
ROW(tenure_user_get_start, BAD(tenure_user_get_start(NULL, "u", on_names, NULL, &err));
    BAD(tenure_user_get_start(c, NULL, on_names, NULL, &err)); BAD(tenure_user_get_start(c, "u", NULL, NULL, &err)))
ROW(tenure_user_list, struct tenure_names *r; BAD(tenure_user_list(NULL, &r, &err));
    BAD(tenure_user_list(c, NULL, &err)))
ROW(tenure_user_list_start, BAD(tenure_user_list_start(NULL, on_names, NULL, &err));
    BAD(tenure_user_list_start(c, NULL, NULL, &err)))
ROW(tenure_permissions_free, tenure_permissions_free(NULL))
ROW(tenure_role_add, BAD(tenure_role_add(NULL, "r", &err)); BAD(tenure_role_add(c, NULL, &err)))
ROW(tenure_role_add_start, BAD(tenure_role_add_start(NULL, "r", NULL, NULL, &err));
    BAD(tenure_role_add_start(c, NULL, NULL, NULL, &err)))
ROW(tenure_role_delete, BAD(tenure_role_delete(NULL, "r", &err)); BAD(tenure_role_delete(c, NULL, &err)))
ROW(tenure_role_delete_start, BAD(tenure_role_delete_start(NULL, "r", NULL, NULL, &err));
    BAD(tenure_role_delete_start(c, NULL, NULL, NULL, &err)))
ROW(tenure_role_get, struct tenure_permissions *r; BAD(tenure_role_get(NULL, "r", &r, &err));
    BAD(tenure_role_get(c, NULL, &r, &err)); BAD(tenure_role_get(c, "r", NULL, &err)))
ROW(tenure_role_get_start, BAD(tenure_role_get_start(NULL, "r", on_permissions, NULL, &err));
    BAD(tenure_role_get_start(c, NULL, on_permissions, NULL, &err));
    BAD(tenure_role_get_start(c, "r", NULL, NULL, &err)))
ROW(tenure_role_list, struct tenure_names *r; BAD(tenure_role_list(NULL, &r, &err));
    BAD(tenure_role_list(c, NULL, &err)))
ROW(tenure_role_list_start, BAD(tenure_role_list_start(NULL, on_names, NULL, &err));
    BAD(tenure_role_list_start(c, NULL, NULL, &err)))
ROW(tenure_role_grant, BAD(tenure_role_grant(NULL, "r", TENURE_READ, &one_key, &err));
    BAD(tenure_role_grant(c, NULL, TENURE_READ, &one_key, &err));
    BAD(tenure_role_grant(c, "r", TENURE_READ, NULL, &err)))
ROW(tenure_role_grant_start, BAD(tenure_role_grant_start(NULL, "r", TENURE_READ, &one_key, NULL, NULL, &err));
    BAD(tenure_role_grant_start(c, "r", TENURE_READ, NULL, NULL, NULL, &err)))
ROW(tenure_role_revoke, BAD(tenure_role_revoke(NULL, "r", &one_key, &err));
    BAD(tenure_role_revoke(c, NULL, &one_key, &err)); BAD(tenure_role_revoke(c, "r", NULL, &err)))
ROW(tenure_role_revoke_start, BAD(tenure_role_revoke_start(NULL, "r", &one_key, NULL, NULL, &err));
    BAD(tenure_role_revoke_start(c, "r", NULL, NULL, NULL, &err)))

/* ---- session.h ---- */
ROW(tenure_session_open, NONE(tenure_session_open(NULL, NULL, &err)))
ROW(tenure_session_start, NONE(tenure_session_start(NULL, NULL, &err)))
ROW(tenure_session_state, IS(tenure_session_state(NULL) == TENURE_SESSION_LOST))
ROW(tenure_session_fd, IS(tenure_session_fd(NULL) == -1))
ROW(tenure_session_remaining_ms, IS(tenure_session_remaining_ms(NULL) == 0))
ROW(tenure_session_lease, IS(tenure_session_lease(NULL) == 0))
ROW(tenure_session_ttl_s, IS(tenure_session_ttl_s(NULL) == 0))
ROW(tenure_session_beat, tenure_session_beat(NULL))
ROW(tenure_session_close, IS(tenure_session_close(NULL, NULL) == 0))
ROW(tenure_session_close_start, tenure_session_close_start(NULL))
ROW(tenure_session_leave, BAD(tenure_session_leave(NULL, &err)))

/* ---- lock.h, rwlock.h, semaphore.h, place.h, multilock.h ---- */
ROW(tenure_lock_acquire, NONE(tenure_lock_acquire(NULL, "x", NULL, &err));
    NONE(tenure_lock_acquire(c, NULL, NULL, &err)))
ROW(tenure_lock_start, NONE(tenure_lock_start(NULL, "x", NULL, &err)); NONE(tenure_lock_start(c, NULL, NULL, &err)))
ROW(tenure_lock_held, IS(!tenure_lock_held(NULL)))
ROW(tenure_lock_token, IS(tenure_lock_token(NULL) == 0))
ROW(tenure_lock_key, IS(tenure_lock_key(NULL)[0] == 0))
ROW(tenure_lock_lease, IS(tenure_lock_lease(NULL) == 0))
ROW(tenure_lock_remaining_ms, IS(tenure_lock_remaining_ms(NULL) == 0))
ROW(tenure_unlock, IS(tenure_unlock(NULL, NULL) == 0))
ROW(tenure_unlock_start, tenure_unlock_start(NULL))
ROW(tenure_with_leadership, BAD(tenure_with_leadership(NULL, "x", NULL, on_lead, NULL, &err));
    BAD(tenure_with_leadership(c, NULL, NULL, on_lead, NULL, &err));
    BAD(tenure_with_leadership(c, "x", NULL, NULL, NULL, &err)))
ROW(tenure_with_lock, BAD(tenure_with_lock(NULL, "x", NULL, on_work, NULL, &err));
    BAD(tenure_with_lock(c, NULL, NULL, on_work, NULL, &err)); BAD(tenure_with_lock(c, "x", NULL, NULL, NULL, &err)))
ROW(tenure_lock_list, struct tenure_lock_list *r; BAD(tenure_lock_list(NULL, "x", NULL, &r, &err));
    BAD(tenure_lock_list(c, NULL, NULL, &r, &err)); BAD(tenure_lock_list(c, "x", NULL, NULL, &err)))
ROW(tenure_lock_list_free, tenure_lock_list_free(NULL))
ROW(tenure_rwlock_read, NONE(tenure_rwlock_read(NULL, "x", NULL, &err)); NONE(tenure_rwlock_read(c, NULL, NULL, &err)))
ROW(tenure_rwlock_write, NONE(tenure_rwlock_write(NULL, "x", NULL, &err));
    NONE(tenure_rwlock_write(c, NULL, NULL, &err)))
ROW(tenure_rwlock_read_start, NONE(tenure_rwlock_read_start(NULL, "x", NULL, &err));
    NONE(tenure_rwlock_read_start(c, NULL, NULL, &err)))
ROW(tenure_rwlock_write_start, NONE(tenure_rwlock_write_start(NULL, "x", NULL, &err));
    NONE(tenure_rwlock_write_start(c, NULL, NULL, &err)))
ROW(tenure_rwlock_downgrade, BAD(tenure_rwlock_downgrade(NULL, &err)))
ROW(tenure_rwlock_downgrade_start, BAD(tenure_rwlock_downgrade_start(NULL, NULL, NULL, &err)))
ROW(tenure_semaphore_acquire, NONE(tenure_semaphore_acquire(NULL, "x", 1, 1, NULL, &err));
    NONE(tenure_semaphore_acquire(c, NULL, 1, 1, NULL, &err)))
ROW(tenure_semaphore_start, NONE(tenure_semaphore_start(NULL, "x", 1, 1, NULL, &err));
    NONE(tenure_semaphore_start(c, NULL, 1, 1, NULL, &err)))
ROW(tenure_place_acquire, NONE(tenure_place_acquire(NULL, "x", &rule, NULL, &err));
    NONE(tenure_place_acquire(c, NULL, &rule, NULL, &err)); NONE(tenure_place_acquire(c, "x", NULL, NULL, &err)))
ROW(tenure_place_start, NONE(tenure_place_start(NULL, "x", &rule, NULL, &err));
    NONE(tenure_place_start(c, NULL, &rule, NULL, &err)); NONE(tenure_place_start(c, "x", NULL, NULL, &err)))
ROW(tenure_multilock_acquire, NONE(tenure_multilock_acquire(NULL, &part, 1, NULL, &err));
    NONE(tenure_multilock_acquire(c, NULL, 1, NULL, &err)); NONE(tenure_multilock_acquire(c, &nameless, 1, NULL, &err)))
ROW(tenure_multilock_start, NONE(tenure_multilock_start(NULL, &part, 1, NULL, &err));
    NONE(tenure_multilock_start(c, NULL, 1, NULL, &err)); NONE(tenure_multilock_start(c, &nameless, 1, NULL, &err)))
ROW(tenure_multilock_held, IS(!tenure_multilock_held(NULL)))
ROW(tenure_multilock_remaining_ms, IS(tenure_multilock_remaining_ms(NULL) == 0))
ROW(tenure_multilock_token, IS(tenure_multilock_token(NULL, 0) == 0))
ROW(tenure_multilock_key, IS(tenure_multilock_key(NULL, 0)[0] == 0))
ROW(tenure_multilock_unlock, IS(tenure_multilock_unlock(NULL, NULL) == 0))
ROW(tenure_multilock_unlock_start, tenure_multilock_unlock_start(NULL))

/* ---- election.h ---- */
ROW(tenure_election_start, NONE(tenure_election_start(NULL, "x", NULL, &err));
    NONE(tenure_election_start(c, NULL, NULL, &err)))
ROW(tenure_election_stop, tenure_election_stop(NULL))
ROW(tenure_election_leads, IS(!tenure_election_leads(NULL)))
ROW(tenure_election_await, BAD(tenure_election_await(NULL, 0, &err)))
ROW(tenure_election_list, struct tenure_election_list *r; BAD(tenure_election_list(NULL, "x", NULL, &r, &err));
    BAD(tenure_election_list(c, NULL, NULL, &r, &err)); BAD(tenure_election_list(c, "x", NULL, NULL, &err)))
ROW(tenure_election_list_start, BAD(tenure_election_list_start(NULL, "x", NULL, NULL, NULL, &err));
    BAD(tenure_election_list_start(c, "x", NULL, NULL, NULL, &err)))
ROW(tenure_election_list_free, tenure_election_list_free(NULL))
ROW(tenure_election_token, IS(tenure_election_token(NULL) == 0))
ROW(tenure_election_remaining_ms, IS(tenure_election_remaining_ms(NULL) == 0))
ROW(tenure_election_lease, IS(tenure_election_lease(NULL) == 0))
ROW(tenure_election_why, tenure_election_why(NULL, &err); IS(err.code == TENURE_EINVALID);
    tenure_election_why(NULL, NULL))
ROW(tenure_election_key, char out[8] = "x"; tenure_election_key(NULL, out, sizeof out); IS(out[0] == 0);
    tenure_election_key(NULL, NULL, 0))
ROW(tenure_election_proclaim, BAD(tenure_election_proclaim(NULL, key, &err)))
ROW(tenure_observer_start, NONE(tenure_observer_start(NULL, "x", NULL, &err));
    NONE(tenure_observer_start(c, NULL, NULL, &err)))
ROW(tenure_observer_stop, tenure_observer_stop(NULL))

/* ---- barrier.h, wait.h ---- */
ROW(tenure_barrier_hold, BAD(tenure_barrier_hold(NULL, "x", NULL, &err)); BAD(tenure_barrier_hold(c, NULL, NULL, &err)))
ROW(tenure_barrier_release, BAD(tenure_barrier_release(NULL, "x", NULL, &err));
    BAD(tenure_barrier_release(c, NULL, NULL, &err)))
ROW(tenure_barrier_wait, BAD(tenure_barrier_wait(NULL, "x", NULL, &err)); BAD(tenure_barrier_wait(c, NULL, NULL, &err)))
ROW(tenure_barrier_hold_start, BAD(tenure_barrier_hold_start(NULL, "x", NULL, NULL, NULL, &err));
    BAD(tenure_barrier_hold_start(c, NULL, NULL, NULL, NULL, &err)))
ROW(tenure_barrier_release_start, BAD(tenure_barrier_release_start(NULL, "x", NULL, NULL, NULL, &err));
    BAD(tenure_barrier_release_start(c, NULL, NULL, NULL, NULL, &err)))
ROW(tenure_barrier_wait_start, NONE(tenure_barrier_wait_start(NULL, "x", NULL, on_done, NULL, &err));
    NONE(tenure_barrier_wait_start(c, NULL, NULL, on_done, NULL, &err));
    NONE(tenure_barrier_wait_start(c, "x", NULL, NULL, NULL, &err)))
ROW(tenure_latch_arrive, BAD(tenure_latch_arrive(NULL, "x", 1, NULL, NULL, NULL, &err));
    BAD(tenure_latch_arrive(c, NULL, 1, NULL, NULL, NULL, &err)))
ROW(tenure_latch_wait, BAD(tenure_latch_wait(NULL, "x", NULL, &err)); BAD(tenure_latch_wait(c, NULL, NULL, &err)))
ROW(tenure_latch_look, struct tenure_latch_state r; BAD(tenure_latch_look(NULL, "x", NULL, &r, &err));
    BAD(tenure_latch_look(c, NULL, NULL, &r, &err)); BAD(tenure_latch_look(c, "x", NULL, NULL, &err)))
ROW(tenure_latch_reset, BAD(tenure_latch_reset(NULL, "x", NULL, &err)); BAD(tenure_latch_reset(c, NULL, NULL, &err)))
ROW(tenure_latch_arrive_start, BAD(tenure_latch_arrive_start(NULL, "x", 1, NULL, NULL, NULL, NULL, &err));
    BAD(tenure_latch_arrive_start(c, NULL, 1, NULL, NULL, NULL, NULL, &err)))
ROW(tenure_latch_look_start, BAD(tenure_latch_look_start(NULL, "x", NULL, on_latch, NULL, &err));
    BAD(tenure_latch_look_start(c, NULL, NULL, on_latch, NULL, &err));
    BAD(tenure_latch_look_start(c, "x", NULL, NULL, NULL, &err)))
ROW(tenure_latch_reset_start, BAD(tenure_latch_reset_start(NULL, "x", NULL, NULL, NULL, &err));
    BAD(tenure_latch_reset_start(c, NULL, NULL, NULL, NULL, &err)))
ROW(tenure_latch_wait_start, NONE(tenure_latch_wait_start(NULL, "x", NULL, on_done, NULL, &err));
    NONE(tenure_latch_wait_start(c, NULL, NULL, on_done, NULL, &err));
    NONE(tenure_latch_wait_start(c, "x", NULL, NULL, NULL, &err)))
ROW(tenure_double_barrier_enter, NONE(tenure_double_barrier_enter(NULL, "x", 1, NULL, &err));
    NONE(tenure_double_barrier_enter(c, NULL, 1, NULL, &err)))
ROW(tenure_double_barrier_enter_start, NONE(tenure_double_barrier_enter_start(NULL, "x", 1, NULL, &err));
    NONE(tenure_double_barrier_enter_start(c, NULL, 1, NULL, &err)))
ROW(tenure_double_barrier_inside, IS(!tenure_double_barrier_inside(NULL)))
ROW(tenure_double_barrier_leave, IS(tenure_double_barrier_leave(NULL, 0, NULL) == 0))
ROW(tenure_double_barrier_leave_start, tenure_double_barrier_leave_start(NULL, 0))
ROW(tenure_wait_stop, tenure_wait_stop(NULL))

/* ---- queue.h ---- */
ROW(tenure_queue_open, NONE(tenure_queue_open(NULL, "x", NULL, &err)); NONE(tenure_queue_open(c, NULL, NULL, &err)))
ROW(tenure_queue_close, tenure_queue_close(NULL))
ROW(tenure_queue_put, BAD(tenure_queue_put(NULL, key, NULL, &err)); BAD(tenure_queue_put(q, no_data, NULL, &err)))
ROW(tenure_queue_put_start, BAD(tenure_queue_put_start(NULL, key, NULL, NULL, NULL, &err));
    BAD(tenure_queue_put_start(q, no_data, NULL, NULL, NULL, &err)))
ROW(tenure_queue_item_free, tenure_queue_item_free(NULL))
ROW(tenure_queue_item_lease, IS(tenure_queue_item_lease(NULL) == 0))
ROW(tenure_queue_remaining_ms, IS(tenure_queue_remaining_ms(NULL, NULL) == 0);
    IS(tenure_queue_remaining_ms(q, NULL) == 0))
ROW(tenure_queue_take, struct tenure_queue_item *r; BAD(tenure_queue_take(NULL, -1, &r, &err));
    BAD(tenure_queue_take(q, -1, NULL, &err)))
ROW(tenure_queue_take_start, NONE(tenure_queue_take_start(NULL, -1, on_item, NULL, &err));
    NONE(tenure_queue_take_start(q, -1, NULL, NULL, &err)))
ROW(tenure_queue_peek, struct tenure_queue_item *r; BAD(tenure_queue_peek(NULL, &r, &err));
    BAD(tenure_queue_peek(q, NULL, &err)))
ROW(tenure_queue_length, BAD(tenure_queue_length(NULL, &n, &err)); BAD(tenure_queue_length(q, NULL, &err)))
ROW(tenure_queue_peek_start, BAD(tenure_queue_peek_start(NULL, on_item, NULL, &err));
    BAD(tenure_queue_peek_start(q, NULL, NULL, &err)))
ROW(tenure_queue_length_start, BAD(tenure_queue_length_start(NULL, on_length, NULL, &err));
    BAD(tenure_queue_length_start(q, NULL, NULL, &err)))
ROW(tenure_queue_list, struct tenure_queue_list *r; BAD(tenure_queue_list(NULL, &r, &err));
    BAD(tenure_queue_list(q, NULL, &err)))
ROW(tenure_queue_list_start, BAD(tenure_queue_list_start(NULL, on_queue_list, NULL, &err));
    BAD(tenure_queue_list_start(q, NULL, NULL, &err)))
ROW(tenure_queue_list_free, tenure_queue_list_free(NULL))
ROW(tenure_queue_ack, BAD(tenure_queue_ack(NULL, NULL, &err)); BAD(tenure_queue_ack(q, NULL, &err)))
ROW(tenure_queue_nack, BAD(tenure_queue_nack(NULL, NULL, 0, &err)); BAD(tenure_queue_nack(q, NULL, 0, &err)))
ROW(tenure_queue_extend, BAD(tenure_queue_extend(NULL, NULL, &err)); BAD(tenure_queue_extend(q, NULL, &err)))
ROW(tenure_queue_ack_start, BAD(tenure_queue_ack_start(NULL, NULL, NULL, NULL, &err));
    BAD(tenure_queue_ack_start(q, NULL, NULL, NULL, &err)))
ROW(tenure_queue_nack_start, BAD(tenure_queue_nack_start(NULL, NULL, 0, NULL, NULL, &err));
    BAD(tenure_queue_nack_start(q, NULL, 0, NULL, NULL, &err)))
ROW(tenure_queue_extend_start, BAD(tenure_queue_extend_start(NULL, NULL, NULL, NULL, &err));
    BAD(tenure_queue_extend_start(q, NULL, NULL, NULL, &err)))

/* ---- counter.h, id.h ---- */
ROW(tenure_counter_get, BAD(tenure_counter_get(NULL, "x", NULL, NULL, &err));
    BAD(tenure_counter_get(c, NULL, NULL, NULL, &err)))
ROW(tenure_counter_add, BAD(tenure_counter_add(NULL, "x", 1, NULL, NULL, &err));
    BAD(tenure_counter_add(c, NULL, 1, NULL, NULL, &err)))
ROW(tenure_counter_set, BAD(tenure_counter_set(NULL, "x", 1, NULL, &err));
    BAD(tenure_counter_set(c, NULL, 1, NULL, &err)))
ROW(tenure_counter_cas, BAD(tenure_counter_cas(NULL, "x", 1, 2, NULL, NULL, &err));
    BAD(tenure_counter_cas(c, NULL, 1, 2, NULL, NULL, &err)))
ROW(tenure_counter_get_start, BAD(tenure_counter_get_start(NULL, "x", NULL, on_number, NULL, &err));
    BAD(tenure_counter_get_start(c, NULL, NULL, on_number, NULL, &err));
    BAD(tenure_counter_get_start(c, "x", NULL, NULL, NULL, &err)))
ROW(tenure_counter_add_start, BAD(tenure_counter_add_start(NULL, "x", 1, NULL, NULL, NULL, &err));
    BAD(tenure_counter_add_start(c, NULL, 1, NULL, NULL, NULL, &err)))
ROW(tenure_counter_set_start, BAD(tenure_counter_set_start(NULL, "x", 1, NULL, NULL, NULL, &err));
    BAD(tenure_counter_set_start(c, NULL, 1, NULL, NULL, NULL, &err)))
ROW(tenure_counter_cas_start, BAD(tenure_counter_cas_start(NULL, "x", 1, 2, NULL, NULL, NULL, &err));
    BAD(tenure_counter_cas_start(c, NULL, 1, 2, NULL, NULL, NULL, &err)))
ROW(tenure_ids_open, NONE(tenure_ids_open(NULL, "x", NULL, &err)); NONE(tenure_ids_open(c, NULL, NULL, &err)))
ROW(tenure_ids_next, BAD(tenure_ids_next(NULL, &n, &err)); tenure_ids *ids = tenure_ids_open(c, "x", NULL, NULL);
    BAD(tenure_ids_next(ids, NULL, &err)); tenure_ids_close(ids))
ROW(tenure_ids_close, tenure_ids_close(NULL))
ROW(tenure_ids_take, BAD(tenure_ids_take(NULL, "x", 1, NULL, &n, &err));
    BAD(tenure_ids_take(c, NULL, 1, NULL, &n, &err)); BAD(tenure_ids_take(c, "x", 1, NULL, NULL, &err)))
ROW(tenure_ids_take_start, BAD(tenure_ids_take_start(NULL, "x", 1, NULL, on_number, NULL, &err));
    BAD(tenure_ids_take_start(c, NULL, 1, NULL, on_number, NULL, &err));
    BAD(tenure_ids_take_start(c, "x", 1, NULL, NULL, NULL, &err)))

/* ---- stm.h ---- */
ROW(tenure_stm, BAD(tenure_stm(NULL, NULL, on_body, NULL, &err)); BAD(tenure_stm(c, NULL, NULL, NULL, &err)))
ROW(tenure_stm_get, IS(tenure_stm_get(NULL, key, NULL) == TENURE_EINVALID))
ROW(tenure_stm_fetch, IS(tenure_stm_fetch(NULL, &key, 1) == TENURE_EINVALID))
ROW(tenure_stm_put, IS(tenure_stm_put(NULL, key, key, 0) == TENURE_EINVALID))
ROW(tenure_stm_delete, IS(tenure_stm_delete(NULL, key) == TENURE_EINVALID))
ROW(tenure_stm_attempt, IS(tenure_stm_attempt(NULL) == 0))

/* ---- group.h ---- */
ROW(tenure_presence_start, NONE(tenure_presence_start(NULL, key, key, NULL, &err));
    NONE(tenure_presence_start(c, no_data, key, NULL, &err)); NONE(tenure_presence_start(c, key, no_data, NULL, &err)))
ROW(tenure_presence_await, BAD(tenure_presence_await(NULL, 1, &err)))
ROW(tenure_presence_set, BAD(tenure_presence_set(NULL, key, &err)))
ROW(tenure_presence_stands, IS(!tenure_presence_stands(NULL)))
ROW(tenure_presence_stop, tenure_presence_stop(NULL))
ROW(tenure_group_join, NONE(tenure_group_join(NULL, NULL, "g", "m", NULL, NULL, &err));
    NONE(tenure_group_join(c, NULL, NULL, "m", NULL, NULL, &err)))
ROW(tenure_group_set, BAD(tenure_group_set(NULL, "x", &err)))
ROW(tenure_group_list, struct tenure_group_list *r; BAD(tenure_group_list(NULL, NULL, "g", &r, &err));
    BAD(tenure_group_list(c, NULL, NULL, &r, &err)); BAD(tenure_group_list(c, NULL, "g", NULL, &err)))
ROW(tenure_group_list_free, tenure_group_list_free(NULL))
ROW(tenure_group_watch_start, NONE(tenure_group_watch_start(NULL, "g", NULL, &err));
    NONE(tenure_group_watch_start(c, NULL, NULL, &err)))
ROW(tenure_group_watch_stop, tenure_group_watch_stop(NULL))

/* ---- registry.h ---- */
ROW(tenure_health_string, IS(tenure_health_string((enum tenure_health)9) != NULL))
ROW(tenure_instance_serves, IS(!tenure_instance_serves(NULL)))
ROW(tenure_instances_free, tenure_instances_free(NULL))
ROW(tenure_discover, NONE(tenure_discover(NULL, "s", NULL, &err)))
ROW(tenure_services, NONE(tenure_services(NULL, NULL, &err)))
ROW(tenure_service_names_free, tenure_service_names_free(NULL))
ROW(tenure_register, NONE(tenure_register(NULL, "s", "i", "a", 1, NULL, &err));
    NONE(tenure_register(c, NULL, "i", "a", 1, NULL, &err)); NONE(tenure_register(c, "s", "i", NULL, 1, NULL, &err));
    NONE(tenure_register(c, "s", NULL, NULL, 1, NULL, &err)))
ROW(tenure_register_start, NONE(tenure_register_start(NULL, "s", "i", "a", 1, NULL, &err));
    NONE(tenure_register_start(c, NULL, "i", "a", 1, NULL, &err));
    NONE(tenure_register_start(c, "s", "i", NULL, 1, NULL, &err)))
ROW(tenure_service_await, BAD(tenure_service_await(NULL, 1, &err)))
ROW(tenure_service_stands, IS(!tenure_service_stands(NULL)))
ROW(tenure_service_set_health, BAD(tenure_service_set_health(NULL, TENURE_HEALTH_PASSING, &err)))
ROW(tenure_service_set_draining, BAD(tenure_service_set_draining(NULL, true, &err)))
ROW(tenure_service_set_weight, BAD(tenure_service_set_weight(NULL, 1, &err)))
ROW(tenure_service_stop, tenure_service_stop(NULL))
ROW(tenure_instance_edit, BAD(tenure_instance_edit(NULL, "s", "i", NULL, &err));
    BAD(tenure_instance_edit(c, NULL, "i", NULL, &err)); BAD(tenure_instance_edit(c, "s", NULL, NULL, &err)))
ROW(tenure_deregister, BAD(tenure_deregister(NULL, NULL, "s", "i", &err));
    BAD(tenure_deregister(c, NULL, NULL, "i", &err)); BAD(tenure_deregister(c, NULL, "s", NULL, &err)))

/* ---- picker.h ---- */
ROW(tenure_service_view_start, NONE(tenure_service_view_start(NULL, "s", NULL, &err)))
ROW(tenure_service_view_await, BAD(tenure_service_view_await(NULL, 1, &err)))
ROW(tenure_service_view_list, NONE(tenure_service_view_list(NULL, &err)))
ROW(tenure_service_view_revision, IS(tenure_service_view_revision(NULL) == 0))
ROW(tenure_service_view_staleness_ms, IS(tenure_service_view_staleness_ms(NULL) == -1))
ROW(tenure_service_view_fd, IS(tenure_service_view_fd(NULL) == -1))
ROW(tenure_service_view_stop, tenure_service_view_stop(NULL))
ROW(tenure_picker_new, NONE(tenure_picker_new(NULL, NULL, &err)))
ROW(tenure_pick, NONE(tenure_pick(NULL, key, &err)))
ROW(tenure_pick_done, tenure_pick_done(NULL))
ROW(tenure_picker_free, tenure_picker_free(NULL))

/* ---- cron.h ---- */
ROW(tenure_cron_run, BAD(tenure_cron_run(NULL, "x", &hourly, on_job, NULL, &err));
    BAD(tenure_cron_run(c, NULL, &hourly, on_job, NULL, &err)); BAD(tenure_cron_run(c, "x", NULL, on_job, NULL, &err));
    BAD(tenure_cron_run(c, "x", &hourly, NULL, NULL, &err)))
ROW(tenure_cron_start, NONE(tenure_cron_start(NULL, "x", &hourly, &err));
    NONE(tenure_cron_start(c, NULL, &hourly, &err)); NONE(tenure_cron_start(c, "x", NULL, &err));
    NONE(tenure_cron_start(c, "x", &hourly, &err)) /* without on_run */)
ROW(tenure_cron_done, BAD(tenure_cron_done(NULL, 1, 0, NULL, &err)))
ROW(tenure_cron_held, IS(!tenure_cron_held(NULL, 1)))
ROW(tenure_cron_remaining_ms, IS(tenure_cron_remaining_ms(NULL, 1) == 0))
ROW(tenure_cron_lease, IS(tenure_cron_lease(NULL) == 0))
ROW(tenure_cron_stop, tenure_cron_stop(NULL))
ROW(tenure_cron_list, struct tenure_cron_list *r; BAD(tenure_cron_list(NULL, NULL, "x", &r, &err));
    BAD(tenure_cron_list(c, NULL, NULL, &r, &err)); BAD(tenure_cron_list(c, NULL, "x", NULL, &err)))
ROW(tenure_cron_list_free, tenure_cron_list_free(NULL))
ROW(tenure_cron_next, BAD(tenure_cron_next(NULL, NULL, 0, &n, &err));
    BAD(tenure_cron_next("@hourly", NULL, 0, NULL, &err)))

/* ---- services.h ---- */
ROW(tenure_v3_lock, struct tenure_v3_lock *r; BAD(tenure_v3_lock(NULL, key, 0, 0, &r, &err));
    BAD(tenure_v3_lock(c, no_data, 0, 0, &r, &err)))
ROW(tenure_v3_lock_start, BAD(tenure_v3_lock_start(NULL, key, 0, 0, on_v3_lock, NULL, &err)))
ROW(tenure_v3_lock_free, tenure_v3_lock_free(NULL))
ROW(tenure_v3_unlock, BAD(tenure_v3_unlock(NULL, key, 0, &err)); BAD(tenure_v3_unlock(c, no_data, 0, &err)))
ROW(tenure_v3_unlock_start, BAD(tenure_v3_unlock_start(NULL, key, 0, NULL, NULL, &err));
    BAD(tenure_v3_unlock_start(c, no_data, 0, NULL, NULL, &err)))
ROW(tenure_v3_campaign, struct tenure_v3_leader *r; BAD(tenure_v3_campaign(NULL, key, 0, key, 0, &r, &err));
    BAD(tenure_v3_campaign(c, key, 0, no_data, 0, &r, &err)))
ROW(tenure_v3_campaign_start, BAD(tenure_v3_campaign_start(NULL, key, 0, key, 0, on_v3_leader, NULL, &err)))
ROW(tenure_v3_leader_free, tenure_v3_leader_free(NULL))
ROW(tenure_v3_proclaim, BAD(tenure_v3_proclaim(NULL, &leader, key, 0, &err));
    BAD(tenure_v3_proclaim(c, NULL, key, 0, &err)))
ROW(tenure_v3_proclaim_start, BAD(tenure_v3_proclaim_start(NULL, &leader, key, 0, NULL, NULL, &err));
    BAD(tenure_v3_proclaim_start(c, NULL, key, 0, NULL, NULL, &err)))
ROW(tenure_v3_resign, BAD(tenure_v3_resign(NULL, &leader, 0, &err)); BAD(tenure_v3_resign(c, NULL, 0, &err)))
ROW(tenure_v3_resign_start, BAD(tenure_v3_resign_start(NULL, &leader, 0, NULL, NULL, &err));
    BAD(tenure_v3_resign_start(c, NULL, 0, NULL, NULL, &err)))
ROW(tenure_v3_leading, BAD(tenure_v3_leading(NULL, key, 0, &g, &err)))
ROW(tenure_v3_leading_start, BAD(tenure_v3_leading_start(NULL, key, 0, on_get, NULL, &err)))
ROW(tenure_v3_observer_start, NONE(tenure_v3_observer_start(NULL, key, NULL, &err));
    NONE(tenure_v3_observer_start(c, no_data, NULL, &err)))
ROW(tenure_v3_observer_stop, tenure_v3_observer_stop(NULL))

/* ---- fence.h ---- */
ROW(tenure_token_parse, tenure_token number; BAD(tenure_token_parse(no_data, &number, &err));
    BAD(tenure_token_parse(tenure_str("1"), NULL, &err)))
ROW(tenure_if_token, tenure_if_token(NULL, "k", 1); SPOILS(tenure_if_token(t, NULL, 1)))
ROW(tenure_if_fencing_token, tenure_if_fencing_token(NULL, "x", "u"); SPOILS(tenure_if_fencing_token(t, NULL, "u")))
ROW(tenure_fence_generate, char u[TENURE_UUID_SIZE]; BAD(tenure_fence_generate(NULL, "x", "k", 1, 0, u, &err));
    BAD(tenure_fence_generate(c, NULL, "k", 1, 0, u, &err)); BAD(tenure_fence_generate(c, "x", NULL, 1, 0, u, &err));
    BAD(tenure_fence_generate(c, "x", "k", 1, 0, NULL, &err)))
ROW(tenure_fence_validate, BAD(tenure_fence_validate(NULL, "x", "u", &err));
    BAD(tenure_fence_validate(c, NULL, "u", &err)); BAD(tenure_fence_validate(c, "x", NULL, &err)))
ROW(tenure_fence_new, IS(tenure_fence_new(NULL) == NULL))
ROW(tenure_fence_free, tenure_fence_free(NULL))
ROW(tenure_fence_enter, BAD(tenure_fence_enter(NULL, 1, &err)))
ROW(tenure_fence_leave, tenure_fence_leave(NULL))
ROW(tenure_fence_seen, IS(tenure_fence_seen(NULL) == 0))
ROW(tenure_fence_file_open, NONE(tenure_fence_file_open(NULL, &err)))
ROW(tenure_fence_file_close, tenure_fence_file_close(NULL))
ROW(tenure_fence_file_enter, BAD(tenure_fence_file_enter(NULL, 1, 0, &err)))
ROW(tenure_fence_file_leave, tenure_fence_file_leave(NULL))
ROW(tenure_fence_file_replace, BAD(tenure_fence_file_replace(NULL, 1, 0, key, &err)))
ROW(tenure_fence_file_fd, IS(tenure_fence_file_fd(NULL) == -1))
ROW(tenure_fence_file_seen, BAD(tenure_fence_file_seen(NULL, &err)))

/* ---- config.h ---- */
ROW(tenure_config_layer_string, IS(tenure_config_layer_string((enum tenure_config_layer)9)[0] == '?'))
ROW(tenure_config_list_free, tenure_config_list_free(NULL))
ROW(tenure_config_get, NONE(tenure_config_get(NULL, "k", NULL, &err)); NONE(tenure_config_get(c, NULL, NULL, &err)))
ROW(tenure_config_read, struct tenure_config_list *l; BAD(tenure_config_read(NULL, "k/", NULL, &l, &err));
    BAD(tenure_config_read(c, NULL, NULL, &l, &err)); BAD(tenure_config_read(c, "k/", NULL, NULL, &err)))
ROW(tenure_config_find, const struct tenure_config_list l = {0}; IS(tenure_config_find(NULL, "k") == NULL);
    IS(tenure_config_find(&l, NULL) == NULL))
ROW(tenure_config_open, NONE(tenure_config_open(NULL, "k/", NULL, &err)); NONE(tenure_config_open(c, NULL, NULL, &err)))
ROW(tenure_config_close, tenure_config_close(NULL))
ROW(tenure_config_state, IS(tenure_config_state(NULL) == TENURE_CONFIG_ENDED))
ROW(tenure_config_stale_ms, IS(tenure_config_stale_ms(NULL) <= 0))
ROW(tenure_config_revision, IS(tenure_config_revision(NULL) == 0))
ROW(tenure_config_list, IS(tenure_config_list(NULL) == NULL))
ROW(tenure_config_fd, IS(tenure_config_fd(NULL) == -1))
ROW(tenure_config_changed, IS(!tenure_config_changed(NULL)))
ROW(tenure_config_wait, BAD(tenure_config_wait(NULL, 0, 0, &err)))
ROW(tenure_config_string, NONE(tenure_config_string(NULL, "k", NULL, &err)))
ROW(tenure_config_int, BAD(tenure_config_int(NULL, "k", TENURE_EINVALID, &err)))
ROW(tenure_config_float, BAD(tenure_config_float(NULL, "k", 0.5, &err) == 0.5 ? err.code : 0))
ROW(tenure_config_bool, BAD(tenure_config_bool(NULL, "k", true, &err) ? err.code : 0))
ROW(tenure_config_duration_ms, BAD((int)tenure_config_duration_ms(NULL, "k", TENURE_EINVALID, &err)))
ROW(tenure_config_size_bytes, BAD((int)tenure_config_size_bytes(NULL, "k", TENURE_EINVALID, &err)))
ROW(tenure_config_json, NONE(tenure_config_json(NULL, "k", NULL, &err)))
ROW(tenure_config_apply, const struct tenure_config_write w = {.value = "v"};
    BAD(tenure_config_apply(NULL, &w, 1, NULL, NULL, &err)); BAD(tenure_config_apply(c, NULL, 1, NULL, NULL, &err)))
ROW(tenure_config_set, BAD(tenure_config_set(NULL, "k", "v", TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err));
    BAD(tenure_config_set(c, NULL, "v", TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err));
    BAD(tenure_config_set(c, "k", NULL, TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err)))
ROW(tenure_config_delete, BAD(tenure_config_delete(NULL, "k", TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err));
    BAD(tenure_config_delete(c, NULL, TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err)))
ROW(tenure_config_history, struct tenure_config_versions *r;
    BAD(tenure_config_history(NULL, "k", TENURE_CONFIG_DEFAULT, NULL, &r, &err));
    BAD(tenure_config_history(c, NULL, TENURE_CONFIG_DEFAULT, NULL, &r, &err));
    BAD(tenure_config_history(c, "k", TENURE_CONFIG_DEFAULT, NULL, NULL, &err)))
ROW(tenure_config_versions_free, tenure_config_versions_free(NULL))
ROW(tenure_config_rollback, BAD(tenure_config_rollback(NULL, "k", TENURE_CONFIG_DEFAULT, 1, 0, NULL, NULL, &err));
    BAD(tenure_config_rollback(c, NULL, TENURE_CONFIG_DEFAULT, 1, 0, NULL, NULL, &err)))
ROW(tenure_config_diff, const struct tenure_config_list l = {0}; struct tenure_config_differences * r;
    BAD(tenure_config_diff(NULL, &l, &r, &err)); BAD(tenure_config_diff(&l, NULL, &r, &err));
    BAD(tenure_config_diff(&l, &l, NULL, &err)))
ROW(tenure_config_differences_free, tenure_config_differences_free(NULL))
ROW(tenure_config_schema_set, BAD(tenure_config_schema_set(NULL, "k/", "{}", NULL, &err));
    BAD(tenure_config_schema_set(c, NULL, "{}", NULL, &err)))
ROW(tenure_config_schema_get, char *s; BAD(tenure_config_schema_get(NULL, "k/", NULL, &s, &err));
    BAD(tenure_config_schema_get(c, NULL, NULL, &s, &err)); BAD(tenure_config_schema_get(c, "k/", NULL, NULL, &err)))
ROW(tenure_config_check, const struct tenure_config_list l = {0}; BAD(tenure_config_check(NULL, "k/", "{}", &err));
    BAD(tenure_config_check(&l, NULL, "{}", &err)); BAD(tenure_config_check(&l, "k/", NULL, &err)))
ROW(tenure_config_key_new, BAD(tenure_config_key_new(NULL, &err)))
ROW(tenure_config_seal, char *s; BAD(tenure_config_seal(NULL, "k", "v", 1, &s, &err));
    BAD(tenure_config_seal("f", NULL, "v", 1, &s, &err)); BAD(tenure_config_seal("f", "k", NULL, 1, &s, &err));
    BAD(tenure_config_seal("f", "k", "v", 1, NULL, &err)))
ROW(tenure_config_unseal, char *s; BAD(tenure_config_unseal(NULL, "k", "sealed:v1:", &s, NULL, &err));
    BAD(tenure_config_unseal("f", NULL, "sealed:v1:", &s, NULL, &err));
    BAD(tenure_config_unseal("f", "k", NULL, &s, NULL, &err));
    BAD(tenure_config_unseal("f", "k", "sealed:v1:", NULL, NULL, &err)))
ROW(tenure_config_format, const struct tenure_config_list l = {0}; char *s;
    BAD(tenure_config_format(NULL, "", TENURE_CONFIG_JSON, &s, &err));
    BAD(tenure_config_format(&l, NULL, TENURE_CONFIG_JSON, &s, &err));
    BAD(tenure_config_format(&l, "", TENURE_CONFIG_JSON, NULL, &err)))
ROW(tenure_config_parse, struct tenure_config_list *l;
    BAD(tenure_config_parse(NULL, 1, "", TENURE_CONFIG_JSON, &l, &err));
    BAD(tenure_config_parse("{}", 2, NULL, TENURE_CONFIG_JSON, &l, &err));
    BAD(tenure_config_parse("{}", 2, "", TENURE_CONFIG_JSON, NULL, &err)))

/* ---- cache.h ---- */
ROW(tenure_cache_open, NONE(tenure_cache_open(NULL, key, NULL, &err)); NONE(tenure_cache_open(c, no_data, NULL, &err)))
ROW(tenure_cache_fd, IS(tenure_cache_fd(NULL) == -1))
ROW(tenure_cache_close, tenure_cache_close(NULL))
ROW(tenure_cache_item_free, tenure_cache_item_free(NULL))
ROW(tenure_cache_list_free, tenure_cache_list_free(NULL))
ROW(tenure_cache_cached, struct tenure_cache_item *i; BAD(tenure_cache_cached(NULL, key, NULL, &i, &err));
    BAD(tenure_cache_cached(cache, no_data, NULL, &i, &err)); BAD(tenure_cache_cached(cache, key, NULL, NULL, &err)))
ROW(tenure_cache_cached_list, struct tenure_cache_list *l; BAD(tenure_cache_cached_list(NULL, key, NULL, &l, &err));
    BAD(tenure_cache_cached_list(cache, no_data, NULL, &l, &err));
    BAD(tenure_cache_cached_list(cache, key, NULL, NULL, &err)))
ROW(tenure_cache_count, size_t count; BAD(tenure_cache_count(NULL, key, NULL, &count, &err));
    BAD(tenure_cache_count(cache, no_data, NULL, &count, &err)); BAD(tenure_cache_count(cache, key, NULL, NULL, &err)))
ROW(tenure_cache_get, struct tenure_cache_item *i; BAD(tenure_cache_get(NULL, key, NULL, &i, &err));
    BAD(tenure_cache_get(cache, no_data, NULL, &i, &err)); BAD(tenure_cache_get(cache, key, NULL, NULL, &err)))
ROW(tenure_cache_list, struct tenure_cache_list *l; BAD(tenure_cache_list(NULL, key, NULL, &l, &err));
    BAD(tenure_cache_list(cache, no_data, NULL, &l, &err)); BAD(tenure_cache_list(cache, key, NULL, NULL, &err)))
ROW(tenure_cache_wait, BAD(tenure_cache_wait(NULL, NULL, &err)))
ROW(tenure_cache_get_start, BAD(tenure_cache_get_start(NULL, key, NULL, on_cached, NULL, &err));
    BAD(tenure_cache_get_start(cache, no_data, NULL, on_cached, NULL, &err));
    BAD(tenure_cache_get_start(cache, key, NULL, NULL, NULL, &err)))
ROW(tenure_cache_list_start, BAD(tenure_cache_list_start(NULL, key, NULL, on_cached_list, NULL, &err));
    BAD(tenure_cache_list_start(cache, no_data, NULL, on_cached_list, NULL, &err));
    BAD(tenure_cache_list_start(cache, key, NULL, NULL, NULL, &err)))
ROW(tenure_cache_wait_start, BAD(tenure_cache_wait_start(NULL, NULL, on_done, NULL, &err)))
ROW(tenure_leaders_open, NONE(tenure_leaders_open(NULL, text, NULL, &err)))
ROW(tenure_leaders_fd, IS(tenure_leaders_fd(NULL) == -1))
ROW(tenure_leaders_close, tenure_leaders_close(NULL))
ROW(tenure_leader_free, tenure_leader_free(NULL))
ROW(tenure_leader_list_free, tenure_leader_list_free(NULL))
ROW(tenure_leaders_cached, struct tenure_leader *l; BAD(tenure_leaders_cached(NULL, text, NULL, &l, &err));
    BAD(tenure_leaders_cached(leads, NULL, NULL, NULL, &err)))
ROW(tenure_leaders_cached_list, struct tenure_leader_list *l; BAD(tenure_leaders_cached_list(NULL, NULL, &l, &err));
    BAD(tenure_leaders_cached_list(leads, NULL, NULL, &err)))
ROW(tenure_leaders_get, struct tenure_leader *l; BAD(tenure_leaders_get(NULL, text, NULL, &l, &err));
    BAD(tenure_leaders_get(leads, NULL, NULL, NULL, &err)))
ROW(tenure_leaders_get_start, BAD(tenure_leaders_get_start(NULL, text, NULL, on_leader, NULL, &err));
    BAD(tenure_leaders_get_start(leads, NULL, NULL, NULL, NULL, &err)))
ROW(tenure_ttl_cache_open, NONE(tenure_ttl_cache_open(NULL, NULL, &err)))
ROW(tenure_ttl_cache_close, tenure_ttl_cache_close(NULL))
ROW(tenure_ttl_cache_cached, struct tenure_cache_item *i; BAD(tenure_ttl_cache_cached(NULL, key, NULL, &i, &err));
    BAD(tenure_ttl_cache_cached(ttl, no_data, NULL, &i, &err));
    BAD(tenure_ttl_cache_cached(ttl, key, NULL, NULL, &err)))
ROW(tenure_ttl_cache_get, struct tenure_cache_item *i; BAD(tenure_ttl_cache_get(NULL, key, NULL, &i, &err));
    BAD(tenure_ttl_cache_get(ttl, no_data, NULL, &i, &err)); BAD(tenure_ttl_cache_get(ttl, key, NULL, NULL, &err)))
ROW(tenure_ttl_cache_get_start, BAD(tenure_ttl_cache_get_start(NULL, key, NULL, on_cached, NULL, &err));
    BAD(tenure_ttl_cache_get_start(ttl, no_data, NULL, on_cached, NULL, &err));
    BAD(tenure_ttl_cache_get_start(ttl, key, NULL, NULL, NULL, &err)))
ROW(tenure_ttl_cache_forget, BAD(tenure_ttl_cache_forget(NULL, key, &err));
    BAD(tenure_ttl_cache_forget(ttl, no_data, &err)))

/* ---- value.h ---- */
ROW(tenure_value_open, NONE(tenure_value_open(NULL, key, NULL, &err)); NONE(tenure_value_open(c, no_data, NULL, &err)))
ROW(tenure_value_fd, IS(tenure_value_fd(NULL) == -1))
ROW(tenure_value_close, tenure_value_close(NULL))
ROW(tenure_value_state_free, tenure_value_state_free(NULL))
ROW(tenure_value_cached, struct tenure_value_state *s; BAD(tenure_value_cached(NULL, &s, &err));
    BAD(tenure_value_cached(shared, NULL, &err)))
ROW(tenure_value_get, struct tenure_value_state *s; BAD(tenure_value_get(NULL, NULL, &s, &err));
    BAD(tenure_value_get(shared, NULL, NULL, &err)))
ROW(tenure_value_get_start, BAD(tenure_value_get_start(NULL, NULL, on_value, NULL, &err));
    BAD(tenure_value_get_start(shared, NULL, NULL, NULL, &err)))
ROW(tenure_value_set, BAD(tenure_value_set(NULL, key, NULL, NULL, &err));
    BAD(tenure_value_set(shared, no_data, NULL, NULL, &err)))
ROW(tenure_value_set_start, BAD(tenure_value_set_start(NULL, key, NULL, on_value, NULL, &err));
    BAD(tenure_value_set_start(shared, no_data, NULL, on_value, NULL, &err)))
ROW(tenure_value_cas, BAD(tenure_value_cas(NULL, 0, key, NULL, NULL, &err));
    BAD(tenure_value_cas(shared, 0, no_data, NULL, NULL, &err)))
ROW(tenure_value_cas_start, BAD(tenure_value_cas_start(NULL, 0, key, NULL, on_value, NULL, &err));
    BAD(tenure_value_cas_start(shared, 0, no_data, NULL, on_value, NULL, &err)))
ROW(tenure_value_delete, BAD(tenure_value_delete(NULL, 0, NULL, NULL, &err)))
ROW(tenure_value_delete_start, BAD(tenure_value_delete_start(NULL, 0, NULL, on_value, NULL, &err)))
ROW(tenure_value_update, BAD(tenure_value_update(NULL, on_shall, NULL, NULL, NULL, &err));
    BAD(tenure_value_update(shared, NULL, NULL, NULL, NULL, &err)))
ROW(tenure_value_update_start, BAD(tenure_value_update_start(NULL, on_shall, NULL, NULL, on_value, NULL, &err));
    BAD(tenure_value_update_start(shared, NULL, NULL, NULL, on_value, NULL, &err)))
ROW(tenure_stm_start, NONE(tenure_stm_start(NULL, NULL, on_body, NULL, on_stm, NULL, &err));
    NONE(tenure_stm_start(c, NULL, NULL, NULL, on_stm, NULL, &err));
    NONE(tenure_stm_start(c, NULL, on_body, NULL, NULL, NULL, &err)))

/* ---- node.h ---- */
ROW(tenure_node_open, tenure_node_close(tenure_node_open("127.0.0.1:1", NULL, NULL)))
ROW(tenure_node_adopt, NONE(tenure_node_adopt(NULL, NULL, &err)))
ROW(tenure_node_client, IS(tenure_node_client(NULL) == NULL))
ROW(tenure_node_connection, IS(tenure_node_connection(NULL) == TENURE_CONNECTION_NONE))
ROW(tenure_node_close, tenure_node_close(NULL))
ROW(tenure_node_lead, BAD(tenure_node_lead(NULL, "x", on_lead, NULL, &err)))
ROW(tenure_node_campaign, NONE(tenure_node_campaign(NULL, "x", NULL, NULL, NULL, &err)))
ROW(tenure_node_lock, BAD(tenure_node_lock(NULL, "x", 0, on_work, NULL, &err)))
ROW(tenure_node_config, NONE(tenure_node_config(NULL, "x", NULL, NULL, &err)))
ROW(tenure_node_register, NONE(tenure_node_register(NULL, "a", 1, &err)))
ROW(tenure_node_discover, NONE(tenure_node_discover(NULL, "s", &err)))
ROW(tenure_node_pick, NONE(tenure_node_pick(NULL, "s", &err)))

/* ---- directory.h ---- */
ROW(tenure_directory_open, NONE(tenure_directory_open(NULL, "web", NULL, &err)))
ROW(tenure_directory_await, BAD(tenure_directory_await(NULL, &err)))
ROW(tenure_directory_list, NONE(tenure_directory_list(NULL, &err)))
ROW(tenure_directory_list_free, tenure_directory_list_free(NULL))
ROW(tenure_directory_pick, NONE(tenure_directory_pick(NULL, key, NULL, &err)))
ROW(tenure_directory_close, tenure_directory_close(NULL))

/* ---- region.h ---- */
ROW(tenure_token_epoch, IS(tenure_token_epoch(-1) == 0))
ROW(tenure_token_revision, IS(tenure_token_revision((INT64_C(3) << 44) + 7) == 7))
ROW(tenure_region_list, NONE(tenure_region_list(NULL, &err)))
ROW(tenure_region_list_free, tenure_region_list_free(NULL))
ROW(tenure_region_init, BAD(tenure_region_init(NULL, "eu", &err)); BAD(tenure_region_init(c, NULL, &err)))
ROW(tenure_region_put, struct tenure_region nameless_region = {.endpoints = text};
    struct tenure_region nowhere = {.name = "eu"}; BAD(tenure_region_put(NULL, &nowhere, &err));
    BAD(tenure_region_put(c, NULL, &err)); BAD(tenure_region_put(c, &nameless_region, &err));
    BAD(tenure_region_put(c, &nowhere, &err)))
ROW(tenure_region_remove, BAD(tenure_region_remove(NULL, "eu", &err)); BAD(tenure_region_remove(c, NULL, &err)))
ROW(tenure_home_list, NONE(tenure_home_list(NULL, &err)))
ROW(tenure_home_list_free, tenure_home_list_free(NULL))
ROW(tenure_home_of, IS(tenure_home_of(NULL, "/a") == NULL))
ROW(tenure_home_put, BAD(tenure_home_put(NULL, "/a/", "eu", 1, &err)); BAD(tenure_home_put(c, NULL, "eu", 1, &err));
    BAD(tenure_home_put(c, "/a/", NULL, 1, &err)))
ROW(tenure_home_write, struct tenure_home homeless = {.epoch = 1}; BAD(tenure_home_write(NULL, &homeless, false, &err));
    BAD(tenure_home_write(c, NULL, false, &err)); BAD(tenure_home_write(c, &homeless, true, &err)))
ROW(tenure_authority_list, NONE(tenure_authority_list(NULL, &err)))
ROW(tenure_authority_list_free, tenure_authority_list_free(NULL))
ROW(tenure_region_open, NONE(tenure_region_open(NULL, "eu", NULL, &err)); NONE(tenure_region_open(c, NULL, NULL, &err)))
ROW(tenure_home_open, NONE(tenure_home_open(NULL, "/a", NULL, &err)); NONE(tenure_home_open(c, NULL, NULL, &err)))
