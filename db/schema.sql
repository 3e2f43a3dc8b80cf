-- The schema that db/postgres leads to; a test compares. Written by pg_dump.

CREATE FUNCTION public.delete_entries() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    delete from entries where room_id = old.id;
    return null;
end
$$;

CREATE TABLE public.commit_reports (
    room_id uuid NOT NULL,
    seq bigint NOT NULL,
    user_id uuid NOT NULL
);

CREATE TABLE public.commit_throttles (
    room_id uuid NOT NULL,
    user_id uuid NOT NULL,
    seq bigint NOT NULL,
    strikes integer NOT NULL,
    blocked_until timestamp with time zone,
    forgotten_at timestamp with time zone NOT NULL
);

CREATE TABLE public.device_lists (
    user_id uuid NOT NULL,
    number bigint NOT NULL,
    list bytea NOT NULL
);

CREATE TABLE public.devices (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid,
    scheme text NOT NULL,
    signature_key bytea NOT NULL,
    link_key bytea NOT NULL,
    identity_signature bytea,
    sealed_identity bytea,
    name bytea,
    created_on timestamp with time zone NOT NULL,
    seen_on timestamp with time zone NOT NULL
);

CREATE TABLE public.entries (
    room_id uuid NOT NULL,
    seq bigint NOT NULL,
    kind smallint NOT NULL,
    created_at timestamp with time zone,
    expires_at timestamp with time zone,
    id uuid,
    owner_proof bytea,
    ciphertext bytea,
    epoch bigint DEFAULT 0 NOT NULL,
    sender_id uuid,
    target_seq bigint,
    user_id uuid,
    role smallint,
    settings bytea,
    generation integer,
    key_version smallint DEFAULT 1 NOT NULL
);
ALTER TABLE ONLY public.entries ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

CREATE TABLE public.identity_keys (
    user_id uuid NOT NULL,
    public_key bytea NOT NULL
);

CREATE TABLE public.installation (
    id smallint NOT NULL,
    key_check bytea NOT NULL,
    installation_id uuid,
    purged_until timestamp with time zone,
    rewritten_on timestamp with time zone,
    CONSTRAINT installation_id_check CHECK ((id = 1))
);

CREATE TABLE public.key_packages (
    reference bytea NOT NULL,
    device_id uuid NOT NULL,
    content bytea,
    last_resort boolean NOT NULL,
    used boolean DEFAULT false NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.nodes (
    id uuid NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    signing_key text NOT NULL,
    redis smallint NOT NULL,
    clock_ahead integer NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE public.notification_settings (
    user_id uuid NOT NULL,
    muted boolean NOT NULL,
    quiet_from smallint,
    quiet_until smallint,
    time_zone text,
    priority smallint NOT NULL
);

CREATE TABLE public.refresh_tokens (
    hash bytea NOT NULL,
    session_id uuid NOT NULL,
    spent_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.released_names (
    name_hash bytea NOT NULL,
    released_on timestamp with time zone NOT NULL
);

CREATE TABLE public.room_members (
    room_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role smallint NOT NULL,
    joined_seq bigint NOT NULL,
    delivered_seq bigint NOT NULL
)
WITH (fillfactor='80');

CREATE TABLE public.room_notification_settings (
    room_id uuid NOT NULL,
    user_id uuid NOT NULL,
    muted boolean NOT NULL,
    quiet_from smallint,
    quiet_until smallint,
    time_zone text,
    priority smallint NOT NULL
);

CREATE TABLE public.rooms (
    id uuid NOT NULL,
    kind smallint NOT NULL,
    name bytea,
    visible boolean NOT NULL,
    time_to_live integer,
    direct_key bytea,
    epoch bigint DEFAULT 0 NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    first_seq bigint DEFAULT 1 NOT NULL,
    created_on timestamp with time zone NOT NULL,
    scheme text DEFAULT 'opaque'::text NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    group_seq bigint DEFAULT 0 NOT NULL,
    commit_seq bigint DEFAULT 0 NOT NULL,
    founding bytea
)
WITH (fillfactor='50');

CREATE TABLE public.schemaversions (
    schemaversionsid integer NOT NULL,
    scriptname character varying(255) NOT NULL,
    applied timestamp without time zone NOT NULL
);

CREATE SEQUENCE public.schemaversions_schemaversionsid_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.schemaversions_schemaversionsid_seq OWNED BY public.schemaversions.schemaversionsid;

CREATE TABLE public.sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    push_endpoint bytea,
    label bytea
);

CREATE TABLE public.tickets (
    hash bytea NOT NULL,
    session_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    username text NOT NULL,
    email bytea NOT NULL,
    email_hash bytea NOT NULL,
    password_hash text NOT NULL,
    role smallint DEFAULT 0 NOT NULL,
    disabled boolean DEFAULT false NOT NULL,
    created_on timestamp with time zone NOT NULL,
    updated_on timestamp with time zone NOT NULL,
    delivery_cursor boolean DEFAULT true NOT NULL
);

CREATE TABLE public.welcome_recipients (
    device_id uuid NOT NULL,
    room_id uuid NOT NULL,
    seq bigint NOT NULL,
    number integer NOT NULL
);

CREATE TABLE public.welcomes (
    room_id uuid NOT NULL,
    seq bigint NOT NULL,
    number integer NOT NULL,
    generation integer NOT NULL,
    message bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.welcomes ALTER COLUMN message SET STORAGE EXTERNAL;

ALTER TABLE ONLY public.schemaversions ALTER COLUMN schemaversionsid SET DEFAULT nextval('public.schemaversions_schemaversionsid_seq'::regclass);

ALTER TABLE ONLY public.schemaversions
    ADD CONSTRAINT "PK_schemaversions_Id" PRIMARY KEY (schemaversionsid);

ALTER TABLE ONLY public.commit_reports
    ADD CONSTRAINT commit_reports_pkey PRIMARY KEY (room_id, seq, user_id);

ALTER TABLE ONLY public.commit_throttles
    ADD CONSTRAINT commit_throttles_pkey PRIMARY KEY (room_id, user_id);

ALTER TABLE ONLY public.device_lists
    ADD CONSTRAINT device_lists_pkey PRIMARY KEY (user_id, number);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (room_id, seq);

ALTER TABLE ONLY public.identity_keys
    ADD CONSTRAINT identity_keys_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.key_packages
    ADD CONSTRAINT key_packages_pkey PRIMARY KEY (reference);

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.notification_settings
    ADD CONSTRAINT notification_settings_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.released_names
    ADD CONSTRAINT released_names_pkey PRIMARY KEY (name_hash);

ALTER TABLE ONLY public.room_members
    ADD CONSTRAINT room_members_pkey PRIMARY KEY (room_id, user_id);

ALTER TABLE ONLY public.room_notification_settings
    ADD CONSTRAINT room_notification_settings_pkey PRIMARY KEY (room_id, user_id);

ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT rooms_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.welcome_recipients
    ADD CONSTRAINT welcome_recipients_pkey PRIMARY KEY (device_id, room_id, seq);

ALTER TABLE ONLY public.welcomes
    ADD CONSTRAINT welcomes_pkey PRIMARY KEY (room_id, seq, number);

CREATE INDEX commit_reports_user ON public.commit_reports USING btree (user_id);

CREATE INDEX commit_throttles_forgotten ON public.commit_throttles USING btree (forgotten_at);

CREATE INDEX commit_throttles_user ON public.commit_throttles USING btree (user_id);

CREATE UNIQUE INDEX devices_key ON public.devices USING btree (user_id, signature_key);

CREATE INDEX devices_seen ON public.devices USING btree (seen_on);

CREATE UNIQUE INDEX devices_session ON public.devices USING btree (session_id) WHERE (session_id IS NOT NULL);

CREATE INDEX devices_waiting ON public.devices USING btree (id) WHERE (identity_signature IS NULL);

CREATE INDEX entries_expires ON public.entries USING btree (expires_at) WHERE (expires_at IS NOT NULL);

CREATE UNIQUE INDEX entries_id ON public.entries USING btree (room_id, id) WHERE (id IS NOT NULL);

CREATE INDEX entries_sender ON public.entries USING btree (sender_id) WHERE (sender_id IS NOT NULL);

CREATE INDEX entries_target ON public.entries USING btree (room_id, target_seq) WHERE (target_seq IS NOT NULL);

CREATE INDEX entries_user ON public.entries USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX key_packages_device ON public.key_packages USING btree (device_id, expires_at) WHERE ((content IS NOT NULL) AND (NOT last_resort));

CREATE INDEX key_packages_expires ON public.key_packages USING btree (expires_at);

CREATE UNIQUE INDEX key_packages_last_resort ON public.key_packages USING btree (device_id) WHERE ((content IS NOT NULL) AND last_resort);

CREATE INDEX key_packages_of_device ON public.key_packages USING btree (device_id);

CREATE INDEX refresh_tokens_expires ON public.refresh_tokens USING btree (expires_at);

CREATE INDEX refresh_tokens_session ON public.refresh_tokens USING btree (session_id);

CREATE INDEX released_names_released ON public.released_names USING btree (released_on);

CREATE INDEX room_members_user ON public.room_members USING btree (user_id);

CREATE INDEX room_notification_settings_user ON public.room_notification_settings USING btree (user_id);

CREATE UNIQUE INDEX rooms_direct_key ON public.rooms USING btree (direct_key, scheme) WHERE (direct_key IS NOT NULL);

CREATE INDEX rooms_founder ON public.rooms USING btree (substr(founding, 10, 16)) WHERE (founding IS NOT NULL);

CREATE INDEX rooms_other ON public.rooms USING btree (substr(founding, 74, 16)) WHERE (founding IS NOT NULL);

CREATE INDEX sessions_ended ON public.sessions USING btree (ended_at) WHERE (ended_at IS NOT NULL);

CREATE INDEX sessions_expires ON public.sessions USING btree (expires_at) WHERE (ended_at IS NULL);

CREATE INDEX sessions_push ON public.sessions USING btree (user_id) WHERE (push_endpoint IS NOT NULL);

CREATE INDEX sessions_user ON public.sessions USING btree (user_id);

CREATE INDEX tickets_expires ON public.tickets USING btree (expires_at);

CREATE INDEX tickets_session ON public.tickets USING btree (session_id);

CREATE UNIQUE INDEX users_email_hash ON public.users USING btree (email_hash);

CREATE UNIQUE INDEX users_username ON public.users USING btree (username);

CREATE INDEX welcome_recipients_welcome ON public.welcome_recipients USING btree (room_id, seq, number);

CREATE INDEX welcomes_created ON public.welcomes USING btree (created_at);

CREATE TRIGGER rooms_delete_entries AFTER DELETE ON public.rooms FOR EACH ROW EXECUTE FUNCTION public.delete_entries();

ALTER TABLE ONLY public.commit_reports
    ADD CONSTRAINT commit_reports_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.commit_reports
    ADD CONSTRAINT commit_reports_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.commit_throttles
    ADD CONSTRAINT commit_throttles_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.commit_throttles
    ADD CONSTRAINT commit_throttles_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.device_lists
    ADD CONSTRAINT device_lists_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identity_keys
    ADD CONSTRAINT identity_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.key_packages
    ADD CONSTRAINT key_packages_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.notification_settings
    ADD CONSTRAINT notification_settings_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.room_members
    ADD CONSTRAINT room_members_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.room_members
    ADD CONSTRAINT room_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.room_notification_settings
    ADD CONSTRAINT room_notification_settings_room_id_user_id_fkey FOREIGN KEY (room_id, user_id) REFERENCES public.room_members(room_id, user_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.welcome_recipients
    ADD CONSTRAINT welcome_recipients_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.welcome_recipients
    ADD CONSTRAINT welcome_recipients_room_id_seq_number_fkey FOREIGN KEY (room_id, seq, number) REFERENCES public.welcomes(room_id, seq, number) ON DELETE CASCADE;

ALTER TABLE ONLY public.welcomes
    ADD CONSTRAINT welcomes_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;
