-- The shop's database. Every basket has 40 lines: the customers are businesses.
CREATE TABLE tenants (tenant_id text PRIMARY KEY, size text NOT NULL);
INSERT INTO tenants SELECT 's-' || i, 'small' FROM generate_series(1, 60) i;
INSERT INTO tenants SELECT 'm-' || i, 'medium' FROM generate_series(1, 15) i;
INSERT INTO tenants SELECT 'l-' || i, 'large' FROM generate_series(1, 4) i;

CREATE TABLE products (product_id int PRIMARY KEY, category int NOT NULL, name text NOT NULL);
INSERT INTO products SELECT i, i % 20, 'Product ' || i FROM generate_series(1, 400) i;
CREATE INDEX ON products (category);

-- In production a database is one network away, and what it answers depends on what else it does; this one is idle
-- and a Unix socket away. The views and the function below wait as such a database does, without using the processor:
-- once per statement (a subquery of its own is evaluated once), a fixed part and one that varies as waiting times do (exponentially).
CREATE FUNCTION waited(fixed float, varying float) RETURNS bool LANGUAGE plpgsql VOLATILE AS
$$ BEGIN PERFORM pg_sleep(fixed - varying * ln(1 - random())); RETURN true; END $$;

CREATE TABLE stored_lines (
    basket_id int, product_id int, quantity int NOT NULL, PRIMARY KEY (basket_id, product_id)
);
INSERT INTO stored_lines
SELECT b, (b * 7 + l * 9) % 400 + 1, l % 3 + 1 FROM generate_series(1, 200) b, generate_series(1, 40) l;
CREATE VIEW basket_lines AS
SELECT * FROM stored_lines WHERE (SELECT waited(0.003, 0.010));

CREATE TABLE price_list (product_id int PRIMARY KEY, price int NOT NULL);
INSERT INTO price_list SELECT i, 100 + (i * 37) % 900 FROM generate_series(1, 400) i;
CREATE VIEW prices AS
SELECT * FROM price_list WHERE (SELECT waited(0.001, 0.0002));

-- The warehouse's quota is asked for at another company: slow, and every version before the last one does it.
CREATE FUNCTION delivery_quota(region int) RETURNS int LANGUAGE sql VOLATILE AS
$$ SELECT 20 + region WHERE (SELECT waited(0.034, 0.006)) $$;
CREATE TABLE delivery_slots (region int, slot int, PRIMARY KEY (region, slot));
INSERT INTO delivery_slots SELECT r, s FROM generate_series(0, 9) r, generate_series(1, 12) s;

CREATE TABLE orders (
    order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, basket_id int NOT NULL,
    total int NOT NULL, placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE charges (
    charge_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, method text NOT NULL, reference text NOT NULL,
    amount int NOT NULL
);
ANALYZE;
