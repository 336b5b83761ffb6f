//! `docs/shadow.md`.

/// Words of the document, and tests by their names.
pub(super) const SHADOW: super::Promises = &[
    (
        "Users wait for nothing and see nothing of it.",
        &[
            "whatever_a_shadow_says_users_get_their_answer_and_the_pair_its_ending",
            "a_shadow_that_is_down_hung_or_resets_fails_nobody_else",
            "a_slow_shadow_is_waited_for_and_the_user_is_not",
            "an_answer_is_never_held_up_while_it_comes",
            "either_answer_may_come_first",
        ],
    ),
    (
        "Copied are `GET`, `HEAD` and `OPTIONS`",
        &["what_must_not_be_copied_is_refused_by_its_reason", "what_could_hurt_is_refused", "a_copied_request"],
    ),
    (
        "The plain one refuses a configuration with a shadow.",
        &[
            "the_filter_without_shadows_refuses_to_be_required_to",
            "it_offers_bodies_and_answers_of_calls_beside_what_the_other_offers",
            "plugin_shadow_yaml_compares_and_its_records_arrive",
        ],
    ),
    (
        "Fields, bounds and defaults are in",
        &["the_published_schema_is_that_of_the_types", "shadows_are_checked", "what_shadows_may_cost_is_checked"],
    ),
    (
        "or let a second copy to the version in service find them (`noise`)",
        &["a_second_copy_goes_to_stable_for_its_share", "what_stable_differs_in_from_itself_is_noise"],
    ),
    (
        "by more than 20 % relative and 0.03 % absolute (Diffy's rule; both can be set)",
        &[
            "a_field_counts_when_the_candidate_differs_clearly_more_often",
            "both_thresholds_must_be_exceeded",
            "what_differs_by_itself_does_not_count",
        ],
    ),
    ("refuses when a proxy's filter cannot compare", &["nothing_is_written_that_a_proxy_lacks"]),
    (
        "gives one of five recommendations",
        &["each_fault_is_recommended_to_be_mended_from_the_counters_alone", "each_fault_has_its_recommendation"],
    ),
    ("| promote |", &["a_good_shadow_is_recommended", "at_the_limit_the_recommendation_is_seldom_wrong"]),
    ("| fix errors |", &["each_fault_has_its_recommendation"]),
    ("| investigate disagreement |", &["each_fault_has_its_recommendation", "one_loud_user_does_not_decide"]),
    ("| fix latency |", &["each_fault_has_its_recommendation", "bounds_are_those_of_the_share"]),
    (
        "| need N more |",
        &["too_few_say_how_many_more", "what_a_log_does_not_tell_is_said_and_more_of_it_is_not_asked_for"],
    ),
    (
        "each of the three holds only beyond chance",
        &["errors_and_latency_hold_only_beyond_chance", "few_errors_hold_when_there_are_comparisons_enough"],
    ),
    (
        "A rise of less than half a point of errors, or 10 ms of p95, never fails",
        &["a_small_rise_never_fails", "limits_that_mean_nothing_are_refused"],
    ),
    (
        "intervals come from between 32 buckets of users",
        &["intervals_hold_where_users_come_back", "one_user_who_always_disagrees_widens_the_interval"],
    ),
    ("one that fails stands above a whole that passes", &["a_segment_can_fail_where_the_whole_passes"]),
    (
        "let a rollout do it: its bounds hold at all looks together",
        &["a_step_that_compares_has_criteria_of_its_own", "a_version_that_answers_otherwise_meets_no_user"],
    ),
    (
        "sets `shadow.share` of the route for the step and 0 after it",
        &["a_shadow_gets_its_share_for_the_step_and_none_after_it", "a_version_that_agrees_climbs"],
    ),
    ("overall and in each segment", &["a_small_segment_that_is_broken_fails_where_all_together_pass"]),
    (
        "A version that fails meets no user.",
        &[
            "a_version_that_agrees_climbs_and_others_meet_no_user",
            "a_version_that_answers_otherwise_meets_no_user",
            "a_version_that_fails_copies_is_taken_back_for_its_errors",
            "a_version_that_is_slow_on_copies_meets_no_user",
        ],
    ),
    ("so they are refused", &["shares_of_segments_that_would_outlive_the_step_are_refused"]),
    (
        "one JSON object a line, with request, statuses, latencies and what differs",
        &["each_pair_is_told_once_and_no_more_of_it_than_is_allowed"],
    ),
    (
        "Values are told where `record.values` allows it",
        &[
            "values_are_told_where_the_user_allows_them_and_no_record_is_longer_than_it_may",
            "inputs_are_told_where_the_user_allows_them",
            "nothing_of_the_input_is_told_unless_it_is_named",
        ],
    ),
    ("are refused there", &["shadows_are_checked"]),
    ("or write them to Envoy's log", &["to_the_log_goes_one_line_each"]),
    (
        "senders must show that token",
        &[
            "records_are_collected_analysed_and_labelled_and_the_report_reckons_with_labels",
            "a_batch_is_written_without_what_is_no_record",
        ],
    ),
    (
        "No request waits for records.",
        &[
            "a_collector_that_hangs_makes_records_wait_and_then_drop",
            "records_beyond_the_rate_or_nobody_takes_are_counted_and_hold_nobody_up",
        ],
    ),
    (
        "so what proxies count as `sent` stands in the file",
        &["a_batch_is_written_without_what_is_no_record", "the_program_that_runs_it_keeps_the_records_too"],
    ),
    (
        "once when it begins, and how many they were when it ends",
        &[
            "what_a_full_disk_does_not_take_is_told_to_each_sender_and_said_once",
            "how_many_were_lost_is_said_once_the_disk_takes_records_again",
        ],
    ),
    ("the file is set aside as `records.jsonl.1`", &["the_file_is_set_aside_at_its_size_and_a_few_are_kept"]),
    (
        "Another configuration takes along what waits",
        &["records_that_wait_go_where_the_next_configuration_says_and_none_is_lost"],
    ),
    (
        "Files of any size, in constant memory",
        &[
            "frequent_changes_survive_any_number_of_rare_ones",
            "lines_across_pieces_stay_whole_and_endless_ones_are_not_held",
            "one_record_is_an_analysis_however_the_file_is_written",
        ],
    ),
    (
        "as tables, with `--json`, and as one page that needs no network",
        &[
            "records_are_collected_analysed_and_labelled_and_the_report_reckons_with_labels",
            "the_page_says_what_the_table_says_and_asks_for_nothing",
        ],
    ),
    (
        "Lines that are cut off or no records are skipped, counted and said.",
        &[
            "envoys_log_is_read_like_a_file_of_records_and_a_line_that_is_cut_off_is_skipped_and_said",
            "what_is_skipped_is_told_apart",
            "what_has_no_comparison_is_refused_with_the_reason_and_the_way_out",
        ],
    ),
    ("Also for what other tools log", &["other_tools_logs_are_read_with_a_map", "another_tools_log_is_compared_here"]),
    ("Pearson's correlation and the t-test are exact", &["sleep", "depression", "tuna", "waves"]),
    (
        "the bounds between which the exact value lies are printed",
        &[
            "the_exact_value_lies_within_the_error_of_the_binned_one",
            "numbers_are_compared_and_the_largest_difference_is_found",
        ],
    ),
    ("Decide by the line `between buckets of users`.", &["equal_buckets_give_the_t_test_of_their_means"]),
    (
        "each record tells its share, and stands for that many comparisons in all of these",
        &[
            "records_kept_in_different_shares_are_weighed_back",
            "numbers_of_records_kept_in_different_shares_are_weighed_back",
            "weights_stand_for_the_pairs_that_were_not_kept",
        ],
    ),
    ("Whether a field is noise is asked of all records together", &["what_differs_by_itself_does_not_count"]),
    ("(Tukey's outer fence)", &["slow_pairs_are_listed"]),
    (
        "counts as another user's, which is said",
        &["one_loud_user_does_not_decide", "without_users_each_pair_counts_as_one"],
    ),
    ("the printed range says how many a row may have lost", &["frequent_changes_survive_any_number_of_rare_ones"]),
    ("Look at some, and write down who was right", &["people_say_who_was_right"]),
    (
        "agreement holds. A few labels prove nothing, and change nothing.",
        &["what_people_accept_is_as_good_as_agreement", "accepted_disagreements_count_as_agreement_as_far_as_is_known"],
    ),
    ("of several for one request the last one holds", &["labels_are_added_and_the_last_one_holds"]),
    (
        "The sample is the same until it has labels",
        &["records_are_collected_analysed_and_labelled_and_the_report_reckons_with_labels"],
    ),
    (
        "what is beyond is not copied, and counted as `dropped`",
        &["beyond_the_budget_nothing_is_copied", "each_limit_holds_and_what_is_refused_uses_nothing"],
    ),
    (
        "One that is down is left in peace",
        &[
            "a_shadow_that_is_down_is_left_in_peace_until_it_is_there",
            "a_shadow_that_nobody_reaches_costs_little_and_is_tried_by_one_copy_at_a_time",
            "pauses_double_up_to_the_longest_and_each_ends_with_one_trial",
        ],
    ),
    ("A timeout alone pauses nothing.", &["failures_count_in_succession_and_slowness_is_none"]),
    ("A kill stops copies at once", &["a_kill_stops_copies_even_of_requests_that_are_still_coming"]),
    (
        "cancelled with the configuration that sent them (`reconfigured`)",
        &["a_configuration_that_replaces_another_leaves_no_copy_unaccounted"],
    ),
    (
        "Every sampled request is compared, refused, dropped or failed in the end.",
        &[
            "every_sampled_request_ends_once_and_holds_nothing_afterwards",
            "several_workers_compare_what_many_clients_send",
            "a_user_who_goes_away_is_counted_and_the_late_answer_harms_nothing",
        ],
    ),
];
