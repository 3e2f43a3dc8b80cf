using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Load.Subjects;

/// <summary>All subjects of a run with what they need: Postgres, Redis, nginx and a certificate.</summary>
internal sealed class Stage : IAsyncDisposable
{
    private readonly Options options;
    private readonly string directory;
    private readonly Certificate certificate;
    private readonly List<Subject> subjects = [];
    private readonly Dictionary<Subject, Func<string, Population, Subject>> recipes = [];
    private int fresh;
    private Nginx? nginx;
    private RedisInstance? redis;

    private Stage(Options options, string directory) =>
        (this.options, this.directory, certificate) = (options, directory, Certificate.Create(directory));

    /// <summary>The bare hub first.</summary>
    public IReadOnlyList<Subject> Subjects => subjects;

    public PostgresInstance? Postgres { get; private set; }

    public static async Task<Stage> StartAsync(Options options, string directory, Population population)
    {
        var stage = new Stage(options, directory);
        try
        {
            await stage.StartAsync(population);
        }
        catch
        {
            await stage.DisposeAsync();
            throw;
        }

        return stage;
    }

    /// <summary>The same as a running subject, beside it: new processes on a new database.</summary>
    public async Task<Subject> StartFreshAsync(Subject subject, Population population)
    {
        var started = recipes[subject](Path.Combine(directory, $"fresh{++fresh}"), population);
        try
        {
            await started.StartAsync();
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }

        return started;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var subject in subjects)
            await subject.DisposeAsync();
        if (nginx is not null)
            await nginx.DisposeAsync();
        if (redis is not null)
            await redis.DisposeAsync();
        if (Postgres is not null)
            await Postgres.DisposeAsync();
    }

    private async Task StartAsync(Population population)
    {
        if (options.WantsSubject("postgres") || options.WantsSubject("cluster"))
        {
            Postgres = new PostgresInstance(Path.Combine(directory, "database"));
            await Postgres.InitializeAsync();
            await Postgres.StartAsync();
        }

        if (options.Wants("tls"))
            nginx = new Nginx(directory, certificate);
        if (options.WantsSubject(Pairs.BareHub))
            Add(Pairs.BareHub, population, (_, _) => new BareHubSubject(certificate) { Nginx = nginx });
        if (options.WantsSubject("postgres"))
            AddServer("postgres", population, Postgres);
        if (options.WantsSubject("sqlite"))
            AddServer("sqlite", population, null);
        if (options.WantsSubject("cluster"))
        {
            redis = new RedisInstance(directory);
            await redis.StartAsync();
            Add("cluster", population, (place, people) => new ServerSubject("cluster", place, certificate, Postgres, redis, 2) { Population = people });
        }

        foreach (var subject in subjects)
        {
            Progress.Show($"starting {subject.Name}");
            await subject.StartAsync();
        }

        if (nginx is null)
            return;
        foreach (var subject in subjects)
            nginx.InFrontOf(subject.Port(0));
        await nginx.StartAsync();
    }

    private void AddServer(string name, Population population, PostgresInstance? database)
    {
        Add(name, population, (place, people) =>
            new ServerSubject(name, place, certificate, database, null, 1) { Population = people, Nginx = nginx });
        for (var i = 0; i < options.OtherVersions.Length; i++)
        {
            var (other, file) = (Differences.OtherName(name, i), options.OtherVersions[i]);
            Add(other, population, (place, people) =>
                new ServerSubject(other, place, certificate, database, null, 1) { Population = people, Assembly = file, Nginx = nginx });
        }
    }

    private void Add(string name, Population population, Func<string, Population, Subject> recipe)
    {
        var subject = recipe(Path.Combine(directory, name), population);
        subjects.Add(subject);
        recipes[subject] = recipe;
    }
}
