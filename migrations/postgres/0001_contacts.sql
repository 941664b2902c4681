-- The schema of app/store/postgres.py: that of the SQLite migrations, in PostgreSQL's words.
--
-- Applied by `python -m app migrate` and at every start, all files in one transaction. Never
-- edited after release: a change to the schema is a new file, numbered one higher.
--
-- COLLATE "C" compares code points, as Python and SQLite do; what is compared is computed by
-- app/store/entry.py. Moments are milliseconds since 1970.

-- total: the number of contacts, since counting a large table takes longer than listing a page of it.
-- keys: which version of app/store/entry.py has computed the keys, 0 for none.
CREATE TABLE book (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    total bigint NOT NULL,
    keys  integer NOT NULL
);

INSERT INTO book (total, keys) VALUES (0, 0);

-- Ids are given by the app: one above the highest that the log has ever seen.
CREATE TABLE contact (
    id          bigint PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL,
    phone       text NOT NULL,
    company     text NOT NULL,
    notes       text NOT NULL,
    tags        text[] NOT NULL,
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    version     bigint NOT NULL,
    email_key   text COLLATE "C",
    company_key text COLLATE "C" NOT NULL,
    by_name     text COLLATE "C" NOT NULL,
    by_email    text COLLATE "C" NOT NULL,
    by_company  text COLLATE "C" NOT NULL,
    haystack    text COLLATE "C" NOT NULL
);

CREATE UNIQUE INDEX contact_email ON contact (email_key);

-- One index for each sort. Lists page by (key, id), forwards and backwards.
CREATE INDEX contact_by_name    ON contact (by_name, id);
CREATE INDEX contact_by_email   ON contact (by_email, id);
CREATE INDEX contact_by_company ON contact (by_company, id);
CREATE INDEX contact_by_updated ON contact (updated_at, id);

CREATE INDEX contact_without_email ON contact (by_name) WHERE email_key IS NULL;
CREATE INDEX contact_without_phone ON contact (id) WHERE phone = '';

-- Substring search; the extension is made before, see app/store/postgres_migrations.py.
CREATE INDEX contact_search ON contact USING gin (haystack gin_trgm_ops);

CREATE TABLE contact_tag (
    tag        text COLLATE "C" NOT NULL,
    contact_id bigint NOT NULL REFERENCES contact (id),
    PRIMARY KEY (tag, contact_id)
);

CREATE INDEX contact_tag_contact ON contact_tag (contact_id);

CREATE TABLE tag_count (
    tag      text COLLATE "C" PRIMARY KEY,
    contacts bigint NOT NULL
);

-- The change log. before, after: a contact as JSON, NULL where there was or is none.
-- open: an import is still writing the batch.
CREATE TABLE batch (
    id        bigint PRIMARY KEY,
    at        bigint NOT NULL,
    kind      text NOT NULL,
    size      bigint NOT NULL,
    undoes    bigint,
    undone_by bigint,
    open      boolean NOT NULL DEFAULT false
);

CREATE INDEX batch_open ON batch (id) WHERE open;
CREATE INDEX batch_sample ON batch (id) WHERE kind = 'sample';

CREATE TABLE change (
    seq        bigint PRIMARY KEY,
    batch      bigint NOT NULL REFERENCES batch (id),
    contact_id bigint NOT NULL,
    before     json,
    after      json
);

CREATE UNIQUE INDEX change_batch ON change (batch, seq);
CREATE UNIQUE INDEX change_contact ON change (contact_id, batch);

-- Counts are kept once for each statement, not for each row: an import has statements of hundreds.

CREATE FUNCTION count_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE book SET total = total + (SELECT count(*) FROM made);
    ELSE
        UPDATE book SET total = total - (SELECT count(*) FROM gone);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER contact_made AFTER INSERT ON contact
REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_contacts();

CREATE TRIGGER contact_gone AFTER DELETE ON contact
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_contacts();

CREATE FUNCTION count_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO tag_count AS t SELECT tag, count(*) FROM made GROUP BY tag
        ON CONFLICT (tag) DO UPDATE SET contacts = t.contacts + excluded.contacts;
    ELSE
        UPDATE tag_count t SET contacts = t.contacts - g.contacts
        FROM (SELECT tag, count(*) AS contacts FROM gone GROUP BY tag) g WHERE g.tag = t.tag;
        DELETE FROM tag_count WHERE contacts = 0;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tag_made AFTER INSERT ON contact_tag
REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_tags();

CREATE TRIGGER tag_gone AFTER DELETE ON contact_tag
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_tags();
