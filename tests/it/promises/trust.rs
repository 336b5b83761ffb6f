//! `docs/trust.md`.

/// Words of the document, and tests by their names.
pub(super) const TRUST: super::Promises = &[
    (
        "removes it from every request, also when no route matches and when a kill is on; in any case, doubled or not, and spelt with dashes and underscores in each other's place",
        &[
            "forged_headers_are_removed_when_a_route_matches",
            "forged_headers_are_removed_when_no_route_matches",
            "forged_headers_are_removed_while_the_kill_switch_is_on",
            "headers_of_similar_names_are_not_touched",
        ],
    ),
    (
        "believes it from holders of a valid token, or from everybody if the override says `openToAnyone: true`",
        &[
            "a_closed_override_needs_a_token_which_no_upstream_sees",
            "an_override_needs_a_token_for_its_variant_unless_it_is_open",
        ],
    ),
    (
        "JWS compact, HS256, with `kid`, `aud`, `variant`, `exp` at most 24 h ahead, perhaps `route`; removed before the upstream",
        &[
            "a_signed_token_is_believed_until_it_ends",
            "a_token_that_was_touched_is_not_believed",
            "a_closed_override_needs_a_token_which_no_upstream_sees",
            "a_token_cookie_is_believed_and_removed_wherever_it_stands_and_no_other_cookie_is_lost",
            "tokens_are_cut_off_before_the_upstream_on_every_path",
        ],
    ),
    (
        "believes pairs signed for its audience and not expired, passes on those of other routes, and removes the rest",
        &["a_signed_decision_is_taken_over_by_the_next_hop", "a_signed_pair_is_believed_for_up_to_two_minutes"],
    ),
    (
        "hashes a claim that `jwt_authn` verified; an unverified one only if `unverified: true` says so, and never for segments or overrides",
        &[
            "a_verified_claim_is_a_key_and_a_segment_and_an_unverified_one_is_neither",
            "a_claim_of_an_unverified_token_is_a_key_where_the_configuration_says_so",
        ],
    ),
    (
        "believes as many entries from the right as `clientAddress.trustedHops` says; 0 by default",
        &[
            "nobody_chooses_their_address_where_no_hop_is_trusted",
            "the_clients_address_is_taken_behind_the_trusted_hops_and_cut_to_its_network",
        ],
    ),
    ("hashes it. Whoever chooses their own key", &["sticky_percentages_are_the_defined_split_for_each_key"]),
    (
        "a segment by a client's header is the client's choice",
        &[
            "a_segment_has_weights_of_its_own",
            "a_verified_claim_is_a_key_and_a_segment_and_an_unverified_one_is_neither",
        ],
    ),
    ("The kill switch wins over all of them.", &["the_kill_wins_over_every_override_and_stops_copies"]),
    (
        "In plain Envoy it is filter state, which no client can write and no backend sees.",
        &[
            "with_filter_state_no_header_of_a_client_chooses_the_version",
            "filter_state_chooses_the_version_of_a_request_with_a_forged_header",
        ],
    ),
    (
        "the filter removes it, `early_header_mutation_extensions` removes it before, the value ends in a nonce",
        &["forged_headers_are_removed_when_a_route_matches", "a_forged_header_chooses_nothing_even_without_the_filter"],
    ),
    (
        "removes every such spelling of each name of its own (of a name with more than five dashes the one with underscores alone), and `envoy-header.yaml` those of both routing headers, also without the filter.",
        &[
            "forged_headers_are_removed_when_a_route_matches",
            "forged_headers_are_removed_on_every_path",
            "a_name_has_every_spelling_but_its_own",
            "no_spelling_with_underscores_of_a_routing_header_passes_the_bootstrap_for_headers",
        ],
    ),
    (
        "they name environment variables and hold no key. A key has at least 32 bytes",
        &[
            "secrets_are_named_not_written",
            "a_short_secret_is_no_key",
            "a_token_is_believed_and_the_key_is_never_shown",
        ],
    ),
    (
        "One that is not set makes tokens of that key unbelievable and nothing else.",
        &["tokens_of_a_key_that_is_not_set_are_unbelievable_and_nothing_else_fails"],
    ),
    ("removing the key revokes all of it", &["a_key_is_replaced_while_both_are_believed_and_revoked_by_its_removal"]),
    ("the listener `stats` shows metrics alone", &["the_read_only_listener_shows_metrics_and_nothing_else"]),
    (
        "Hashes of listed keys hide names from a glance",
        &["lists_by_text_and_by_hash_win_over_the_weights", "the_list_hashes_of_golden_keys_stay"],
    ),
];
